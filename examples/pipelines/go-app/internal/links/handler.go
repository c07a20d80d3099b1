package links

import (
	"io"
	"net/http"
	"strings"
)

// A longer address is refused.
const maxAddress = 2048

// Handler serves a store: GET /name redirects, PUT /name with the address as the body keeps it.
func Handler(store *Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			follow(store, name, w, r)
		case http.MethodPut:
			keep(store, name, w, r)
		default:
			w.Header().Set("Allow", "GET, HEAD, PUT")
			http.Error(w, "only GET and PUT", http.StatusMethodNotAllowed)
		}
	})
}

func follow(store *Store, name string, w http.ResponseWriter, r *http.Request) {
	address, err := store.Get(name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	http.Redirect(w, r, address, http.StatusFound)
}

func keep(store *Store, name string, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAddress))
	if err != nil {
		http.Error(w, "the address is too long", http.StatusRequestEntityTooLarge)
		return
	}
	if err := store.Put(name, strings.TrimSpace(string(body))); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
