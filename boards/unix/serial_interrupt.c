/* SIGUSR2 is the Ctrl-C that a chip's serial port hears: what plays a board's line sends it.
 *
 * SIGINT will not do: a second one that comes before the first is seen ends the process, and so
 * does any after micropython.kbd_intr(-1), which on a chip makes Ctrl-C a key as any other.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

#include "py/runtime.h"

#define AGAIN_US 5000

static void interrupt(int number) {
    struct sigaction now;
    /* kbd_intr() switches between the port's own handler and the default. */
    if (number == SIGUSR2 && sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler != SIG_DFL) {
        mp_sched_keyboard_interrupt();
    }
    /* A call that began to block just now has not seen it: an alarm wakes that, too. */
    if (MP_STATE_MAIN_THREAD(mp_pending_exception) != MP_OBJ_NULL) {
        struct itimerval again = {{0, 0}, {0, AGAIN_US}};
        setitimer(ITIMER_REAL, &again, NULL);
    }
}

__attribute__((constructor)) static void listen(void) {
    struct sigaction action = {0};
    action.sa_handler = interrupt;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGALRM);
    sigaction(SIGUSR2, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
}
