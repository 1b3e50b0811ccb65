// For programs whose outcome hangs on what comes first: the main function of one whose `body` can run again and again
// in one process, so that what it meets the second time is code that is translated already. AGAIN in the environment
// says how often; without it the body runs once.
#include <stdlib.h>

static int body(int argc, char **argv);

int main(int argc, char **argv) {
    const char *again = getenv("AGAIN");
    int runs = again ? atoi(again) : 1, status = 0;
    unsetenv("AGAIN"); // for this process alone
    while (runs-- && status == 0) status = body(argc, argv);
    return status;
}
