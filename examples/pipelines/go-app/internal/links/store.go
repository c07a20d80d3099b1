// Package links keeps short names for long addresses.
package links

import (
	"errors"
	"fmt"
	"net/url"
	"sync"
)

// ErrUnknown means that no address is kept under a name.
var ErrUnknown = errors.New("no such link")

// Store keeps links in memory. It may be used from many goroutines at once.
type Store struct {
	mutex sync.RWMutex
	links map[string]string
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{links: make(map[string]string)}
}

// Put keeps an address under a name, in place of an earlier one.
func (s *Store) Put(name, address string) error {
	if name == "" {
		return errors.New("a link needs a name")
	}
	parsed, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("read the address: %w", err)
	}
	if parsed.Scheme != "http" && parsed.Scheme != "https" {
		return fmt.Errorf("%q is not an http address", address)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.links[name] = address
	return nil
}

// Get returns the address under a name, or ErrUnknown.
func (s *Store) Get(name string) (string, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	address, known := s.links[name]
	if !known {
		return "", ErrUnknown
	}
	return address, nil
}
