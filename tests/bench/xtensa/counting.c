/* QEMU plugin: how many instructions of each function a program executes between its writes.
 *
 * Arguments: out=FILE, write=NUMBER of the system call, range=BEGIN-END (hexadecimal), repeated.
 * FILE gets a line at every write: the instructions executed so far in each range, in the order of
 * the arguments, and at last those outside of all. Debian packages no header for plugins, so what
 * is used of version 1 of the interface is declared here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { INLINE_ADD_U64 = 0, MAX_RANGES = 1024 };

typedef void (*translated_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*system_call_t)(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a1,
    uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_t callback);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, system_call_t callback);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *to,
    uint64_t value);

EXPORT int qemu_plugin_version = 1;

static struct {
    uint64_t begin, end;
} ranges[MAX_RANGES];
static uint64_t counts[MAX_RANGES + 1];
static size_t n_ranges;
static int64_t write_number;
static FILE *out;

static uint64_t *count_of(uint64_t address) {
    size_t i = 0;
    while (i < n_ranges && (address < ranges[i].begin || address >= ranges[i].end)) {
        i++;
    }
    return &counts[i];
}

static void on_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t *count = count_of(qemu_plugin_insn_vaddr(insn));
        qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, count, 1);
    }
}

static void on_system_call(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a1,
    uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)cpu, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7,
        (void)a8;
    if (number != write_number) {
        return;
    }
    for (size_t i = 0; i <= n_ranges; i++) {
        fprintf(out, "%" PRIu64 "%c", counts[i], i == n_ranges ? '\n' : ' ');
    }
    fflush(out);
}

static bool take_argument(const char *argument) {
    const char *value = strchr(argument, '=');
    if (value == NULL) {
        return false;
    }
    value++;
    if (strncmp(argument, "out=", 4) == 0) {
        out = fopen(value, "w");
        return out != NULL;
    }
    if (strncmp(argument, "write=", 6) == 0) {
        write_number = strtoll(value, NULL, 10);
        return true;
    }
    char *dash;
    if (strncmp(argument, "range=", 6) != 0 || n_ranges == MAX_RANGES) {
        return false;
    }
    ranges[n_ranges].begin = strtoull(value, &dash, 16);
    if (*dash != '-') {
        return false;
    }
    ranges[n_ranges++].end = strtoull(dash + 1, NULL, 16);
    return true;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int n,
    char **arguments) {
    (void)info;
    for (int i = 0; i < n; i++) {
        if (!take_argument(arguments[i])) {
            fprintf(stderr, "counting: cannot use the argument %s\n", arguments[i]);
            return 1;
        }
    }
    if (out == NULL) {
        fprintf(stderr, "counting: no file for the counts\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
    return 0;
}
