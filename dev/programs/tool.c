// The only program of an image without a shell: it says what it was called with, writes a file, and ends as it is told.
//
// tool [--write FILE] [--exit STATUS] [ANYTHING…]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
    int status = 0;
    printf("tool, uid %d:", getuid());
    for (int at = 1; at < count; at++) {
        printf(" %s", arguments[at]);
        if (at + 1 < count && strcmp(arguments[at], "--exit") == 0)
            status = atoi(arguments[at + 1]);
        if (at + 1 < count && strcmp(arguments[at], "--write") == 0) {
            FILE *file = fopen(arguments[at + 1], "w");
            if (!file || fputs("made by tool\n", file) < 0 || fclose(file) != 0) {
                perror(arguments[at + 1]);
                return 1;
            }
        }
    }
    printf("\n");
    return status;
}
