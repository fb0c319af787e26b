/* Runs the tests, each in a process of its own. */
#define _POSIX_C_SOURCE 200809L
#include "fake.h"

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static rf_test *first, *newest;
static int failed_checks;

void rf_test_register(rf_test *test) {
    if (newest) newest->next = test;
    else first = test;
    newest = test;
}

static bool fail(const char *file, int line, const char *format, ...) RF_PRINTF(3, 4);

static bool fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: %s\n", file, line, rf_vformat(format, arguments));
    va_end(arguments);
    failed_checks++;
    return false;
}

bool rf_test_check(const char *file, int line, bool holds, const char *claim) {
    return holds || fail(file, line, "this does not hold: %s", claim);
}

bool rf_test_check_text(const char *file, int line, const char *text, const char *wanted, const char *claim) {
    if (text == wanted || (text && wanted && !strcmp(text, wanted))) return true;
    return fail(file, line, "%s is\n%s\nand not\n%s", claim, text ? text : "(NULL)", wanted ? wanted : "(NULL)");
}

bool rf_test_check_has(const char *file, int line, const char *text, const char *part, const char *claim) {
    return (text && strstr(text, part)) || fail(file, line, "%s does not contain `%s`:\n%s", claim, part, text ? text : "(NULL)");
}

bool rf_test_check_int(const char *file, int line, long long value, long long wanted, const char *claim) {
    return value == wanted || fail(file, line, "%s is %lld and not %lld", claim, value, wanted);
}

bool rf_test_check_failed(const char *file, int line, rf_failure_kind kind) {
    const rf_failure *failure = rf_fake_failure();
    if (!failure) return fail(file, line, "the call did not fail");
    if (failure->kind == kind) return true;
    return fail(file, line, "the call failed as `%s` and not as `%s`: %s", rf_failure_name(failure->kind), rf_failure_name(kind), failure->message);
}

void stop_test(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(NULL);
    _exit(1);
}

static bool run(const rf_test *test) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        test->run();
        rf_release_all();
        fflush(NULL);
        _exit(failed_checks ? 1 : 0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) return perror(test->name), false;
    if (WIFSIGNALED(status)) fprintf(stderr, "%s crashed: %s\n", test->name, strsignal(WTERMSIG(status)));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int count, char **names) {
    int ran = 0, failed = 0;
    for (const rf_test *test = first; test; test = test->next) {
        bool wanted = count < 2;
        for (int i = 1; i < count; i++) wanted |= strstr(test->name, names[i]) != NULL;
        if (!wanted) continue;
        bool passed = run(test);
        printf("%s %s\n", passed ? "ok    " : "FAILED", test->name);
        ran++;
        failed += !passed;
    }
    printf("%d tests, %d failed\n", ran, failed);
    return failed || !ran;
}
