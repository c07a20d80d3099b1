package links

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAKeptLinkIsFound(t *testing.T) {
	store := NewStore()
	if err := store.Put("go", "https://go.dev"); err != nil {
		t.Fatal(err)
	}
	address, err := store.Get("go")
	if err != nil || address != "https://go.dev" {
		t.Fatalf("got %q, %v", address, err)
	}
}

func TestAnUnknownNameIsAnError(t *testing.T) {
	if _, err := NewStore().Get("nothing"); !errors.Is(err, ErrUnknown) {
		t.Fatalf("got %v", err)
	}
}

func TestBadLinksAreRefused(t *testing.T) {
	for _, bad := range []struct{ name, address string }{
		{"", "https://go.dev"},
		{"file", "file:///etc/passwd"},
		{"empty", ""},
		{"odd", "http://[::1"},
	} {
		if err := NewStore().Put(bad.name, bad.address); err == nil {
			t.Errorf("%q at %q was kept", bad.address, bad.name)
		}
	}
}

func TestTheHandlerAnswers(t *testing.T) {
	handler := Handler(NewStore())
	for _, step := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodGet, "/go", "", http.StatusNotFound},
		{http.MethodPut, "/go", "https://go.dev\n", http.StatusNoContent},
		{http.MethodGet, "/go", "", http.StatusFound},
		{http.MethodPut, "/go", "nonsense", http.StatusBadRequest},
		{http.MethodPut, "/go", "https://" + strings.Repeat("a", maxAddress), http.StatusRequestEntityTooLarge},
		{http.MethodDelete, "/go", "", http.StatusMethodNotAllowed},
	} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(step.method, step.path, strings.NewReader(step.body)))
		if answer.Code != step.status {
			t.Errorf("%s %s: got %d, want %d", step.method, step.path, answer.Code, step.status)
		}
	}
}
