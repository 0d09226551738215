/* SIGUSR2 is the Ctrl-C that a chip's serial port hears: what plays a board's line sends it.
 *
 * SIGINT will not do: a second one that comes before the first is seen ends the process, and so
 * does any after micropython.kbd_intr(-1), which on a chip makes Ctrl-C a key as any other.
 */
#include <signal.h>
#include <stddef.h>

#include "py/runtime.h"

static void interrupt(int number) {
    (void)number;
    struct sigaction now;
    /* kbd_intr() switches between the port's own handler and the default. */
    if (sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler != SIG_DFL) {
        mp_sched_keyboard_interrupt();
    }
}

__attribute__((constructor)) static void listen(void) {
    struct sigaction action = {0};
    action.sa_handler = interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR2, &action, NULL);
}
