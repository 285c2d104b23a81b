// Pipy never forgets objects that lead back to themselves: each reload would add to its memory. That is why targets
// and shares only have the number of what they belong to.

export var backends = []
export var shares = []
