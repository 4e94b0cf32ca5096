package report

// OneByOne asks for the same answer from single calls and sales.
func (q Query) OneByOne() Query {
	q.oneByOne = true
	return q
}

// LookingUpAtMost runs fn with persons looked up one by one only up to so many: 0
// reads everybody in one go.
func LookingUpAtMost(n int, fn func()) {
	before := manyPeople
	manyPeople = n
	defer func() { manyPeople = before }()
	fn()
}
