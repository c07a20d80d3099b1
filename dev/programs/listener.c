// A service for tests: it waits, listens on a port, and greets whoever connects. Or it says why it cannot, and ends.
//
// Its environment: LISTEN_PORT (5432), LISTEN_AFTER (seconds, 0), LISTEN_FAIL (what it says before it ends with status 1).
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static void end(int signal) {
    (void)signal;
    _exit(0);
}

static int wrong(const char *what) {
    perror(what);
    return 1;
}

int main(void) {
    static const char greeting[] = "listening\n";
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in address4 = {.sin_family = AF_INET};
    int port = number("LISTEN_PORT", 5432), on = 1, door;

    signal(SIGTERM, end);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (getenv("LISTEN_FAIL")) {
        fprintf(stderr, "%s\n", getenv("LISTEN_FAIL"));
        return 1;
    }
    sleep(number("LISTEN_AFTER", 0));
    address.sin6_port = address4.sin_port = htons(port);
    door = socket(AF_INET6, SOCK_STREAM, 0);
    if (door < 0) {
        // A machine without IPv6.
        door = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(door, (struct sockaddr *)&address4, sizeof address4) != 0)
            return wrong("bind");
    } else {
        setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(door, (struct sockaddr *)&address, sizeof address) != 0)
            return wrong("bind");
    }
    if (listen(door, 64) != 0)
        return wrong("listen");
    printf("listening on port %d\n", port);
    for (;;) {
        int visitor = accept(door, NULL, NULL);
        if (visitor >= 0) {
            if (write(visitor, greeting, strlen(greeting)) < 0)
                perror("write");
            close(visitor);
        }
    }
}
