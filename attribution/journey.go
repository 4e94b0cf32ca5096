package attribution

// Journey is a path of channels with how often it was taken. Counts may be
// fractions, where it is not sure who converted; none may be negative.
type Journey struct {
	Channels    []string
	Conversions float64 // how many of them converted
	Value       float64 // what these conversions were worth together
	Nulls       float64 // how many of them did not convert
}

// Division is how all conversions of some journeys are divided: each channel's
// share of the conversions, and of their value. Shares add up to 1; a column is
// empty when there is nothing of it to divide.
type Division struct {
	Conversions map[string]float64
	Value       map[string]float64
}

// Divide divides the conversions of the journeys by any model. Of a model that
// divides each conversion by itself it uses the order of the touches alone:
// journeys know no moments.
func (m Model) Divide(journeys []Journey) Division {
	if m.Whole != nil {
		return m.Whole(journeys)
	}
	d := Division{Conversions: map[string]float64{}, Value: map[string]float64{}}
	var p Path
	for _, j := range journeys {
		if j.Conversions == 0 {
			continue
		}
		p.Steps = p.Steps[:0]
		for _, c := range j.Channels {
			p.Steps = append(p.Steps, Step{Channel: c, Direct: c == Direct})
		}
		for i, w := range m.Credit(p) {
			d.Conversions[j.Channels[i]] += w * j.Conversions
			d.Value[j.Channels[i]] += w * j.Value
		}
	}
	d.Conversions = shares(d.Conversions)
	d.Value = shares(d.Value)
	return d
}

// shares divides the parts by their own sum, added up in the order of the names:
// so none exceeds 1, and the same parts give the same shares to the last bit.
// Nothing is left of a sum of 0.
func shares(parts map[string]float64) map[string]float64 {
	total := 0.0
	for _, c := range sortedNames(parts) {
		total += parts[c]
	}
	if total == 0 {
		return map[string]float64{}
	}
	for c := range parts {
		parts[c] /= total
	}
	return parts
}
