// The command server redirects short names to long addresses.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"example.invalid/links/internal/links"
)

const version = "1.0.0"

func main() {
	address := flag.String("listen", ":8080", "where to listen")
	show := flag.Bool("version", false, "print the version and end")
	flag.Parse()
	if *show {
		fmt.Println("links", version)
		return
	}
	server := &http.Server{
		Addr:              *address,
		Handler:           links.Handler(links.NewStore()),
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Printf("listening on %s", *address)
	log.Fatal(server.ListenAndServe())
}
