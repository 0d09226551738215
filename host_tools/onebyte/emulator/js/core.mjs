/**
 * A faster instruction loop for rp2040js, made from its own source when the emulator starts.
 *
 * The package decodes each instruction by asking some seventy conditions in turn. Here the same
 * conditions are asked once for each of the 65,536 opcodes, and the loop jumps to the answer by a
 * table. What an instruction does stays the package's own text, but for the corrections below; the
 * package is pinned by its hash, so each of them finds its place or the emulator refuses to start.
 */

/** [reason, text of the package, our text], each of which occurs exactly once. */
const CORRECTIONS = [
  [
    'ADCS and SBCS: an operand of 0x7fffffff with carry, or 0xffffffff, gave a wrong V flag',
    'this.addUpdateFlags(this.registers[Rm], this.registers[Rdn] + (this.C ? 1 : 0))',
    'addWithCarry(this, this.registers[Rdn], this.registers[Rm], this.C ? 1 : 0)',
  ],
  [
    'the same for SBCS, which is an addition of the complement',
    'this.substractUpdateFlags(this.registers[Rdn], this.registers[Rm] + (1 - (this.C ? 1 : 0)))',
    'addWithCarry(this, this.registers[Rdn], ~this.registers[Rm] >>> 0, this.C ? 1 : 0)',
  ],
  [
    'STMIA writes its base back even where the base is in the list',
    `this.writeUint32(address, this.registers[i]);
                    address += 4;
                    deltaCycles++;
                }
            }
            // Write back
            if (!(registers & (1 << Rn))) {
                this.registers[Rn] = address;
            }`,
    `this.writeUint32(address, this.registers[i]);
                    address += 4;
                    deltaCycles++;
                }
            }
            this.registers[Rn] = address;`,
  ],
  [
    'PUSH takes 1 + N cycles, LR included (ARM DDI 0484C, table 3-1)',
    'this.writeUint32(address, this.registers[14]);',
    'this.writeUint32(address, this.registers[14]); deltaCycles++;',
  ],
  [
    'POP with PC takes 3 + N cycles, PC included (the same table)',
    'this.BXWritePC(this.readUint32(address));\n                deltaCycles += 2;',
    'this.BXWritePC(this.readUint32(address));\n                deltaCycles += 3;',
  ],
  [
    'SEV sets the event register of the core that executes it, too',
    "this.logger.info(LOG_NAME, 'SEV');",
    'this.eventRegistered = true;',
  ],
  ['YIELD is a hint; a log line costs time', "this.logger.info(LOG_NAME, 'Yield');", ''],
  [
    'a sleeping core leaves the loop',
    `deltaCycles++;
            if (this.eventRegistered) {
                this.eventRegistered = false;
            }
            else {
                this.waiting = true;`,
    `deltaCycles++;
            if (this.eventRegistered) {
                this.eventRegistered = false;
            }
            else {
                this.waiting = true; this.limit = -1;`,
  ],
  [
    'a sleeping core leaves the loop (WFI)',
    'deltaCycles++;\n            this.waiting = true;',
    'deltaCycles++;\n            this.waiting = true; this.limit = -1;',
  ],
  [
    'an instruction that the chip does not have is a fault and not a warning',
    'this.logger.warn(LOG_NAME, `Warning: Instruction at ${opcodePC.toString(16)} is not implemented yet!`);',
    'throw new Error(`no such instruction at 0x${opcodePC.toString(16)}: 0x${opcode.toString(16)}`);',
  ],
];

/** Taking an exception costs this many cycles (ARM DDI 0484C, 3.8). */
const EXCEPTION_ENTRY_CYCLES = 15;

const LOOP_HEAD = `
  const { registers: regs, time } = this;
  while (time[0] < time[1]) {
    if (this.interruptsUpdated && this.checkForInterrupts()) {
      this.waiting = false;
      time[0] += ${EXCEPTION_ENTRY_CYCLES};
    }
    const opcodePC = regs[15] & ~1;
    const opcode = mcu.fetch(opcodePC);
    regs[15] += 2;
    let deltaCycles = 1;
    let opcode2 = 0;
    switch (kinds[opcode]) {
`;

const LOOP_TAIL = `
    }
    time[0] += deltaCycles;
  }
`;

/** a + b + carry with the flags as the architecture's AddWithCarry() defines them. */
function addWithCarry(core, a, b, carry) {
  const sum = a + b + carry;
  const result = sum >>> 0;
  core.N = !!(result & 0x80000000);
  core.Z = result === 0;
  core.C = sum > 0xffffffff;
  core.V = !!(~(a ^ b) & (a ^ result) & 0x80000000);
  return result;
}

function replaceOnce(text, [reason, from, to]) {
  const parts = text.split(from);
  if (parts.length !== 2) {
    throw new Error(`rp2040js is not the expected one: ${reason}`);
  }
  return parts.join(to);
}

/** The chain of conditions of executeInstruction(): [{condition, body}], the last one without. */
function splitChain(source) {
  const start = source.indexOf('let deltaCycles = 1;');
  const end = source.indexOf('this.cycles += deltaCycles;\n        return deltaCycles;');
  const chain = source.slice(source.indexOf('\n', start), end);
  const parts = chain.split(/\n {8}(?:\/\/[^\n]*\n {8})*(?:else )?(?:if \((.*)\) |)\{\n/);
  const branches = [];
  for (let i = 1; i < parts.length; i += 2) {
    // The branch's closing brace stands at the end, possibly before the next one's comment.
    const body = parts[i + 1].replace(/\n {8}\}\s*(?:\/\/[^\n]*\s*)*$/, '\n');
    branches.push({ condition: parts[i] ?? 'true', body });
  }
  return branches;
}

function classify(narrow) {
  const decide = new Function(
    'opcode',
    narrow.map((branch, i) => `if (${branch.condition}) return ${i + 1};`).join('\n'),
  );
  const kinds = new Uint8Array(65536); // 0 stands for the instructions of 32 bits
  for (let opcode = 0; opcode < 65536; opcode++) {
    const isWide = opcode >> 12 === 0b1111 || opcode >> 11 === 0b11101;
    kinds[opcode] = isWide ? 0 : decide(opcode);
  }
  return kinds;
}

function cases(narrow, wide) {
  const chain = wide.map((branch) => `if (${branch.condition}) {\n${branch.body}}`).join('\nelse ');
  const first = `case 0: {\n opcode2 = mcu.fetch(opcodePC + 2);\n${chain}\nbreak; }\n`;
  return narrow.reduce(
    (text, branch, i) => `${text}case ${i + 1}: {\n${branch.body}break; }\n`,
    first,
  );
}

/**
 * Return the method `runLoop()` for a core: executes until `core.cycles` reaches `core.limit`.
 *
 * @param {string} source text of the package's cortex-m0-core.js
 * @returns {Function} called with the core as `this` and the chip as argument
 */
export function compileLoop(source) {
  const branches = splitChain(CORRECTIONS.reduce(replaceOnce, source));
  const fallback = branches.at(-1);
  const wide = branches.filter((branch) => branch.condition.includes('opcode2'));
  const narrow = branches.filter((branch) => !branch.condition.includes('opcode2'));
  if (wide.length !== 7 || narrow.length < 60 || fallback.condition !== 'true') {
    throw new Error('rp2040js is not the expected one: its decoder cannot be read');
  }
  const body = cases(narrow, [...wide, fallback])
    .replaceAll('this.registers', 'regs')
    .replaceAll('this.PC', 'regs[15]')
    .replaceAll('this.LR', 'regs[14]')
    .replaceAll('this.cyclesIO', 'cyclesIO')
    .replaceAll('this.readUint', 'mcu.readUint')
    .replaceAll('this.writeUint', 'mcu.writeUint');
  const text = `const spRegister = 13, pcRegister = 15;
const cyclesIO = (address, isWrite = false) => {
  const top = address >>> 28;
  return top < 4 ? 1 : top === 4 ? (isWrite ? 4 : 3) : top === 13 ? 0 : 1;
};
const signExtend8 = (value) => (value << 24) >> 24;
const signExtend16 = (value) => (value << 16) >> 16;
return function runLoop(mcu) {${LOOP_HEAD}${body}${LOOP_TAIL}};`;
  return new Function('kinds', 'addWithCarry', 'LOG_NAME', text)(
    classify(narrow),
    addWithCarry,
    'core',
  );
}
