// Counts the host instructions that a process of Philae executes, as a plugin of qemu-x86_64 7.2 or later;
// tests/bench/count runs it.
//
// Out: lines of fields with tabs between, appended to $PHILAE_COUNTS when the process ends.
//   code TIER KIND COUNT    instructions in translated code; the tier is "any" without the map that -perf-map writes
//   own SYMBOL COUNT        instructions in Philae itself
// What threads execute at the same time may be counted once.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The part of qemu-plugin.h that is used, which distributions do not package.
struct qemu_plugin_tb;
struct qemu_plugin_insn;
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*callback)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_atexit_cb(uint64_t id, void (*callback)(uint64_t, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *insn);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int add, void *counter, uint64_t by);

enum kind { STATE_LOAD, STATE_STORE, STACK, LOAD, STORE, JUMP, MOVE, NOTHING, OTHER, KINDS };
static const char *const kind_names[KINDS] = {
    [STATE_LOAD] = "registers of the guest read from memory",
    [STATE_STORE] = "registers of the guest written to memory",
    [STACK] = "values kept on the stack",
    [LOAD] = "other reads of memory",
    [STORE] = "other writes to memory",
    [JUMP] = "jumps",
    [MOVE] = "copies and constants",
    [NOTHING] = "no-ops",
    [OTHER] = "everything else",
};

enum tier { ANY, BASELINE, CRANELIFT, TIERS };
static const char *const tier_names[TIERS] = {[ANY] = "any", [BASELINE] = "baseline", [CRANELIFT] = "cranelift"};

// What QEMU translates at once, and how often that was executed.
struct piece {
    uint64_t address, times, instructions;
    const char *symbol;
    unsigned kinds[KINDS];
    enum tier tier;
    struct piece *next;
};
static struct piece *pieces;

// By the text of an instruction in AT&T syntax.
static enum kind kind_of(const char *text) {
    const char *base = strchr(text, '(');
    if (!strncmp(text, "nop", 3) || !strncmp(text, "xchg", 4)) return NOTHING;
    if (text[0] == 'j' || !strncmp(text, "call", 4) || !strncmp(text, "ret", 3)) return JUMP;
    if (!base || !strncmp(text, "lea", 3)) return strncmp(text, "mov", 3) ? OTHER : MOVE;
    int compares = !strncmp(text, "cmp", 3) || !strncmp(text, "test", 4) || !strncmp(text, "bt", 2);
    int writes = text[strlen(text) - 1] == ')' && !compares;
    if (!strncmp(base, "(%rdi)", 6)) return writes ? STATE_STORE : STATE_LOAD;
    if (!strncmp(base, "(%rsp)", 6)) return STACK;
    return writes ? STORE : LOAD;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    struct piece *piece = calloc(1, sizeof *piece);
    piece->address = qemu_plugin_tb_vaddr(tb);
    piece->instructions = qemu_plugin_tb_n_insns(tb);
    piece->symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));
    for (size_t i = 0; i < piece->instructions && !piece->symbol; i++) {
        char *text = qemu_plugin_insn_disas(qemu_plugin_tb_get_insn(tb, i));
        if (text) piece->kinds[kind_of(text)]++;
        free(text);
    }
    do piece->next = pieces;
    while (!__sync_bool_compare_and_swap(&pieces, piece->next, piece));
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &piece->times, 1);
}

static int by_address(const void *a, const void *b) {
    const struct piece *const *x = a, *const *y = b;
    return ((*x)->address > (*y)->address) - ((*x)->address < (*y)->address);
}

// The first of sorted pieces that does not lie below an address.
static size_t first_from(struct piece *const *sorted, size_t count, uint64_t address) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sorted[middle]->address < address) low = middle + 1;
        else high = middle;
    }
    return low;
}

// Gives pieces the tiers of the units in the map that they lie in.
static void read_map(struct piece *const *sorted, size_t count) {
    char path[64], line[4096];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(path, "r");
    if (!map) return;
    while (fgets(line, sizeof line, map)) {
        uint64_t start, length;
        if (sscanf(line, "%" SCNx64 " %" SCNx64, &start, &length) != 2) continue;
        enum tier tier = strstr(line, "[cranelift]") ? CRANELIFT : BASELINE;
        for (size_t i = first_from(sorted, count, start); i < count && sorted[i]->address < start + length; i++)
            sorted[i]->tier = tier;
    }
    fclose(map);
    unlink(path);
}

static void ended(uint64_t id, void *data) {
    (void)id, (void)data;
    const char *path = getenv("PHILAE_COUNTS");
    FILE *out = path ? fopen(path, "a") : NULL;
    if (!out) return;
    size_t all = 0, count = 0;
    for (struct piece *piece = pieces; piece; piece = piece->next) all++;
    struct piece **sorted = calloc(all + 1, sizeof *sorted);
    for (struct piece *piece = pieces; piece; piece = piece->next) {
        if (piece->symbol) fprintf(out, "own\t%s\t%" PRIu64 "\n", piece->symbol, piece->instructions * piece->times);
        else sorted[count++] = piece;
    }
    qsort(sorted, count, sizeof *sorted, by_address);
    read_map(sorted, count);
    uint64_t sums[TIERS][KINDS] = {0};
    for (size_t i = 0; i < count; i++)
        for (int kind = 0; kind < KINDS; kind++)
            sums[sorted[i]->tier][kind] += sorted[i]->kinds[kind] * sorted[i]->times;
    for (int tier = 0; tier < TIERS; tier++)
        for (int kind = 0; kind < KINDS; kind++)
            fprintf(out, "code\t%s\t%s\t%" PRIu64 "\n", tier_names[tier], kind_names[kind], sums[tier][kind]);
    fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
