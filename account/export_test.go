package account

import "github.com/alexedwards/argon2id"

// realParams are what passwords are hashed with outside of tests; the tests
// make it cheap, as they sign in some hundred times.
var realParams = passwordParams

func init() {
	passwordParams = &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}
