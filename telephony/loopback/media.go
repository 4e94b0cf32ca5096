package loopback

import (
	"bytes"
	"encoding/binary"
	"math"
)

const sampleRate = 8000

// wav is a recording's sound: a short tone on each channel, the caller's lower
// than the agent's, so that a listener hears which is which. However long the
// conversation was, it is one second.
func wav(rec recording) []byte {
	channels := max(1, rec.channels)
	samples := sampleRate
	size := samples * channels * 2

	var b bytes.Buffer
	write := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v) // a bytes.Buffer does not fail
		}
	}
	b.WriteString("RIFF")
	write(uint32(36 + size))
	b.WriteString("WAVEfmt ")
	write(uint32(16), uint16(1), uint16(channels), uint32(sampleRate), uint32(sampleRate*channels*2), uint16(channels*2), uint16(16))
	b.WriteString("data")
	write(uint32(size))
	for i := range samples {
		for channel := range channels {
			pitch := 330.0 * float64(channel+1)
			write(int16(6000 * math.Sin(2*math.Pi*pitch*float64(i)/sampleRate)))
		}
	}
	return b.Bytes()
}

// mp3 is silence in the other format: a few empty frames of 128 kbit/s.
func mp3(recording) []byte {
	frame := make([]byte, 417)
	copy(frame, []byte{0xff, 0xfb, 0x90, 0x00})
	return bytes.Repeat(frame, 8)
}
