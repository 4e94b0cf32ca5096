package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/configs"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

// providerKeys knows the provider accounts of the installation and of the
// accounts that brought their own: for believing webhooks, and for the REST
// API. It is read for every webhook, so it lives in memory and is refreshed; for
// a start without the database it is on disk too, sealed as in the database.
type providerKeys struct {
	cfg       configs.Twilio
	directory *account.Directory
	file      string // "" keeps nothing on disk
	log       *slog.Logger
	registry  prometheus.Registerer
	secrets   atomic.Pointer[[]telephony.Secret]

	refreshing sync.Mutex
	sealed     []account.SealedProvider // as they were last opened and written down
	known      bool                     // sealed is what the database says

	mu       sync.Mutex
	carriers map[string]telephony.Carrier // by provider account and current token
}

// newProviderKeys knows the installation's own keys; dir is where the accounts'
// are kept for a start without the database.
func newProviderKeys(cfg configs.Twilio, directory *account.Directory, dir string, log *slog.Logger, registry prometheus.Registerer) *providerKeys {
	k := &providerKeys{cfg: cfg, directory: directory, log: log, registry: registry, carriers: map[string]telephony.Carrier{}}
	if dir != "" {
		k.file = filepath.Join(dir, "providers.json")
	}
	k.secrets.Store(new(k.installation()))
	return k
}

func (k *providerKeys) installation() []telephony.Secret {
	if k.cfg.AccountSID == "" {
		return nil
	}
	return []telephony.Secret{{AccountRef: k.cfg.AccountSID, Tokens: k.cfg.Tokens()}}
}

// Refresh reads the accounts' own credentials again. Those that do not open are
// logged and left out.
func (k *providerKeys) Refresh(ctx context.Context) error {
	k.refreshing.Lock()
	defer k.refreshing.Unlock()
	sealed, err := k.directory.SealedProviders(ctx)
	if err != nil {
		return err
	}
	if k.known && slices.Equal(sealed, k.sealed) {
		return nil
	}
	k.use(ctx, sealed)
	k.sealed, k.known = sealed, true
	if k.file == "" {
		return nil
	}
	if err := store.WriteLastGood(k.file, sealed); err != nil {
		// Callers get through all the same; only a start without a database
		// would miss it.
		k.known = false
		k.log.ErrorContext(ctx, "last known good provider keys not written", "error", err)
	}
	return nil
}

// LoadLastGood takes the accounts' credentials from the file that the last
// Refresh wrote, for a start without a database. It fails with kind NotFound
// when there is none and with kind Conflict when it is damaged.
func (k *providerKeys) LoadLastGood() error {
	if k.file == "" {
		return callwheel.Errorf(callwheel.NotFound, "no last known good provider keys")
	}
	var sealed []account.SealedProvider
	if err := store.ReadLastGood(k.file, &sealed); err != nil {
		return err
	}
	k.use(context.Background(), sealed)
	return nil
}

func (k *providerKeys) use(ctx context.Context, sealed []account.SealedProvider) {
	own, problems := k.directory.OpenProviders(sealed)
	for _, problem := range problems {
		k.log.ErrorContext(ctx, "an account's provider credentials cannot be used: its calls are refused", "error", problem)
	}
	list := k.installation()
	for _, s := range own {
		list = append(list, telephony.Secret{AccountRef: s.ProviderAccount, AccountID: s.AccountID, Tokens: s.Tokens})
	}
	k.secrets.Store(&list)
}

// Secrets lists whose signatures are believed.
func (k *providerKeys) Secrets() []telephony.Secret { return *k.secrets.Load() }

// Carrier is the REST API as an account uses it: with its own credentials, or
// the installation's.
func (k *providerKeys) Carrier(accountID string) (telephony.Carrier, error) {
	secret, ok := k.secretOf(accountID)
	if !ok {
		return nil, callwheel.Errorf(callwheel.Unavailable, "no provider account is configured")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	key := secret.AccountRef + " " + secret.Tokens[0]
	if c, ok := k.carriers[key]; ok {
		return c, nil
	}
	c, err := twilio.NewCarrier(twilio.CarrierConfig{
		AccountSID: secret.AccountRef, AuthToken: secret.Tokens[0], APIURL: k.cfg.APIURL, Metrics: k.registry,
	})
	if err != nil {
		return nil, err
	}
	k.carriers[key] = c
	return c, nil
}

func (k *providerKeys) secretOf(accountID string) (telephony.Secret, bool) {
	var found telephony.Secret
	for _, s := range k.Secrets() {
		if s.AccountID == accountID && accountID != "" {
			return s, true
		}
		if s.AccountID == "" {
			found = s
		}
	}
	return found, found.AccountRef != ""
}
