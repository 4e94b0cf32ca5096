package report

// OneByOne asks for the same answer from single calls and sales.
func (q Query) OneByOne() Query {
	q.oneByOne = true
	return q
}
