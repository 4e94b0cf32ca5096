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

// Free is an address on this machine whose port nobody listens on.
func Free() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(highest-lowest))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
}
