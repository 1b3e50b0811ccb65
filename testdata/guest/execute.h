// For programs that execute themselves: where they are, and what becomes of a child.
#include <sys/types.h>
#include <sys/wait.h>

static char program[4096];
static char *none[] = {0};

// A child's status; minus the signal that killed it.
static int ended(pid_t child) {
    int status;
    waitpid(child, &status, __WALL);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
