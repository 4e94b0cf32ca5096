// Package ports finds addresses for servers that are killed and started again.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Below the ports that Linux lends to outgoing connections (32768 and up): one
// of those may be somebody's connection when the server wants it back.
const lowest, highest = 20000, 32000

// given are the ports that were found before: nobody listens on them yet.
var given = map[int]bool{}

// Free is an address on this machine whose port nobody listens on, another each
// time. It is not for use by several goroutines at once.
func Free() string {
	for {
		port := lowest + rand.IntN(highest-lowest)
		if given[port] {
			continue
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			given[port] = true
			return address
		}
	}
}
