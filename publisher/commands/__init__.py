"""One function per verb. They get ports and return results; nothing here prints or knows what is behind a port."""
