package telephony

// CompareFacts is the order in which a fold reads its facts.
func CompareFacts(a, b Folded) int { return compareFacts(a, b) }
