//! `/proc/cpuinfo` for the guest's machine: the features are exactly what HWCAP and CPUID say.
//!
//! In: the guest's machine, what its processor says of itself, and the host's own file for what is common to both
//! (how many processors there are). Out: the text. Names of features are those of the kernel's
//! arch/arm64/kernel/cpuinfo.c and arch/x86/include/asm/cpufeatures.h.

use crate::arch;
use crate::task::Processor;
use philae_ir::Arch;
use philae_ir::processor::Model;
use std::fmt::Write;

/// Names of the bits of AT_HWCAP and AT_HWCAP2 on aarch64, lowest first.
const AARCH64_FEATURES: [&[&str]; 2] = [
    &[
        "fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "atomics", "fphp", "asimdhp", "cpuid",
        "asimdrdm", "jscvt", "fcma", "lrcpc", "dcpop", "sha3", "sm3", "sm4", "asimddp", "sha512", "sve", "asimdfhm",
        "dit", "uscat", "ilrcpc", "flagm", "ssbs", "sb", "paca", "pacg",
    ],
    &[
        "dcpodp",
        "sve2",
        "sveaes",
        "svepmull",
        "svebitperm",
        "svesha3",
        "svesm4",
        "flagm2",
        "frint",
        "svei8mm",
        "svef32mm",
        "svef64mm",
        "svebf16",
        "i8mm",
        "bf16",
        "dgh",
        "rng",
        "bti",
        "mte",
        "ecv",
        "afp",
        "rpres",
        "mte3",
        "sme",
        "smei16i64",
        "smef64f64",
        "smei8i32",
        "smef16f32",
        "smeb16f32",
        "smef32f32",
        "smefa64",
        "wfxt",
        "ebf16",
        "sveebf16",
        "cssc",
        "rprfm",
        "sve2p1",
        "sme2",
        "sme2p1",
        "smei16i32",
        "smebi32i32",
        "smeb16b16",
        "smef16f16",
        "mops",
        "hbc",
        "sveb16b16",
        "lrcpc3",
        "lse128",
    ],
];

/// Leaf, subleaf, register (EAX, EBX, ECX, EDX), and the names of its bits from 0 on, "" where the kernel has none.
/// In the kernel's order.
const X86_64_FEATURES: [(u32, u32, usize, &[&str]); 9] = [
    (
        1,
        0,
        3,
        &[
            "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", "", "sep", "mtrr", "pge", "mca",
            "cmov", "pat", "pse36", "pn", "clflush", "", "dts", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm",
            "ia64", "pbe",
        ],
    ),
    (
        0x8000_0001,
        0,
        3,
        &[
            "", "", "", "", "", "", "", "", "", "", "", "syscall", "", "", "", "", "", "", "", "mp", "nx", "",
            "mmxext", "", "", "fxsr_opt", "pdpe1gb", "rdtscp", "", "lm", "3dnowext", "3dnow",
        ],
    ),
    (
        1,
        0,
        2,
        &[
            "pni",
            "pclmulqdq",
            "dtes64",
            "monitor",
            "ds_cpl",
            "vmx",
            "smx",
            "est",
            "tm2",
            "ssse3",
            "cid",
            "sdbg",
            "fma",
            "cx16",
            "xtpr",
            "pdcm",
            "",
            "pcid",
            "dca",
            "sse4_1",
            "sse4_2",
            "x2apic",
            "movbe",
            "popcnt",
            "tsc_deadline_timer",
            "aes",
            "xsave",
            "",
            "avx",
            "f16c",
            "rdrand",
            "hypervisor",
        ],
    ),
    (
        0x8000_0001,
        0,
        2,
        &[
            "lahf_lm",
            "cmp_legacy",
            "svm",
            "extapic",
            "cr8_legacy",
            "abm",
            "sse4a",
            "misalignsse",
            "3dnowprefetch",
            "osvw",
            "ibs",
            "xop",
            "skinit",
            "wdt",
            "",
            "lwp",
            "fma4",
            "tce",
            "",
            "nodeid_msr",
            "",
            "tbm",
            "topoext",
        ],
    ),
    (
        7,
        0,
        1,
        &[
            "fsgsbase",
            "tsc_adjust",
            "",
            "bmi1",
            "hle",
            "avx2",
            "",
            "smep",
            "bmi2",
            "erms",
            "invpcid",
            "rtm",
            "",
            "",
            "mpx",
            "",
            "avx512f",
            "avx512dq",
            "rdseed",
            "adx",
            "smap",
            "avx512ifma",
            "",
            "clflushopt",
            "clwb",
            "intel_pt",
            "avx512pf",
            "avx512er",
            "avx512cd",
            "sha_ni",
            "avx512bw",
            "avx512vl",
        ],
    ),
    (0xd, 1, 0, &["xsaveopt", "xsavec", "xgetbv1", "xsaves"]),
    (7, 1, 0, &["", "", "", "", "avx_vnni", "avx512_bf16"]),
    (
        7,
        0,
        2,
        &[
            "",
            "avx512vbmi",
            "umip",
            "pku",
            "ospke",
            "waitpkg",
            "avx512_vbmi2",
            "",
            "gfni",
            "vaes",
            "vpclmulqdq",
            "avx512_vnni",
            "avx512_bitalg",
            "",
            "avx512_vpopcntdq",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "rdpid",
            "",
            "",
            "cldemote",
            "",
            "movdiri",
            "movdir64b",
        ],
    ),
    (7, 0, 3, &["", "", "", "", "fsrm", "", "", "", "avx512_vp2intersect", "", "md_clear", "", "", "", "serialize"]),
];

/// The text of `/proc/cpuinfo`.
pub(super) fn text(arch: Arch, processor: Processor) -> Vec<u8> {
    let host = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    match processor {
        Processor::Aarch64(model) => aarch64(arch, model, &host),
        Processor::X86_64 { cpuid } => x86_64(cpuid, &host),
    }
    .into_bytes()
}

fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (name, value) = line.split_once(':')?;
    (name.trim_end() == key).then_some(value.trim())
}

fn aarch64(arch: Arch, model: &Model, host: &str) -> String {
    let features: Vec<&str> =
        arch::hwcaps(arch, model).iter().zip(AARCH64_FEATURES).flat_map(|(&caps, names)| set(caps, names)).collect();
    let (midr, mut text) = (model.midr, String::new());
    for processor in host.lines().filter_map(|line| value(line, "processor")) {
        // MIDR_EL1: implementer, variant, architecture, part number, revision (Arm ARM D24.2.122).
        let _ = write!(
            text,
            "processor\t: {processor}\nBogoMIPS\t: 100.00\nFeatures\t: {}\nCPU implementer\t: 0x{:02x}\n\
             CPU architecture: 8\nCPU variant\t: 0x{:x}\nCPU part\t: 0x{:03x}\nCPU revision\t: {}\n\n",
            features.join(" "),
            midr >> 24,
            midr >> 20 & 0xf,
            midr >> 4 & 0xfff,
            midr & 0xf,
        );
    }
    text
}

fn set<'a>(bits: u64, names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    names.iter().enumerate().filter(move |(bit, name)| bits >> bit & 1 != 0 && !name.is_empty()).map(|(_, name)| *name)
}

/// The host's text (the host is an x86-64) with what CPUID says in place of what the host's processor says.
fn x86_64(cpuid: fn(u32, u32) -> [u32; 4], host: &str) -> String {
    const DROPPED: [&str; 4] = ["microcode", "bugs", "TLB size", "vmx flags"];
    let mut text = String::new();
    for line in host.lines() {
        let key = line.split(':').next().unwrap_or_default().trim_end();
        match x86_64_value(cpuid, key) {
            _ if DROPPED.contains(&key) => continue,
            Some(value) => {
                let start = line.find(':').map_or(line, |colon| &line[..=colon]);
                let _ = writeln!(text, "{start} {value}");
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

fn x86_64_value(cpuid: fn(u32, u32) -> [u32; 4], key: &str) -> Option<String> {
    let bytes = |words: &[u32]| -> String {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    };
    // Family, model and stepping as CPUID.1:EAX encodes them (SDM volume 2, CPUID).
    let signature = cpuid(1, 0)[0];
    let (base, extended) = (signature >> 8 & 0xf, signature >> 20 & 0xff);
    let family = if base == 0xf { base + extended } else { base };
    let model = signature >> 4 & 0xf | if base >= 6 { signature >> 12 & 0xf0 } else { 0 };
    Some(match key {
        "vendor_id" => {
            let [_, b, c, d] = cpuid(0, 0);
            bytes(&[b, d, c])
        }
        "cpu family" => family.to_string(),
        "model" => model.to_string(),
        "stepping" => (signature & 0xf).to_string(),
        "model name" => bytes(&[cpuid(0x8000_0002, 0), cpuid(0x8000_0003, 0), cpuid(0x8000_0004, 0)].concat()),
        "cpuid level" => cpuid(0, 0)[0].to_string(),
        "flags" => x86_64_flags(cpuid).join(" "),
        "address sizes" => {
            let sizes = cpuid(0x8000_0008, 0)[0];
            format!("{} bits physical, {} bits virtual", sizes & 0xff, sizes >> 8 & 0xff)
        }
        _ => return None,
    })
}

fn x86_64_flags(cpuid: fn(u32, u32) -> [u32; 4]) -> Vec<&'static str> {
    X86_64_FEATURES
        .iter()
        .flat_map(|&(leaf, subleaf, register, names)| {
            let (basic, extended) = (cpuid(0, 0)[0], cpuid(0x8000_0000, 0)[0]);
            let there = leaf <= if leaf >= 0x8000_0000 { extended } else { basic };
            set(if there { u64::from(cpuid(leaf, subleaf)[register]) } else { 0 }, names)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use philae_ir::processor::MAX;

    #[test]
    fn arm_features_are_hwcaps() {
        let text = aarch64(Arch::Aarch64, &MAX, "processor\t: 0\nprocessor\t: 7\n");
        let features = text.lines().find_map(|line| value(line, "Features")).unwrap();
        let hwcaps = MAX.hwcaps();
        assert_eq!(features.split(' ').count() as u32, hwcaps[0].count_ones() + hwcaps[1].count_ones());
        assert!(features.starts_with("fp asimd ") && text.contains("processor\t: 7\n"));
        assert!(text.contains("CPU part\t: 0xd0c\n") && text.contains("CPU variant\t: 0x3\n"));
    }

    #[test]
    fn x86_flags_are_cpuids() {
        fn cpuid(leaf: u32, _: u32) -> [u32; 4] {
            match leaf {
                0 => [7, u32::from_le_bytes(*b"Auth"), u32::from_le_bytes(*b"cAMD"), u32::from_le_bytes(*b"enti")],
                1 => [0x0080_0f12, 0, 1 << 9, 1 << 26 | 1],
                0x8000_0000 => [0x8000_0008, 0, 0, 0],
                _ => [0; 4],
            }
        }
        let host = "vendor_id\t: GenuineIntel\nbugs\t\t: many\nflags\t\t: avx\nmodel\t\t: 3\ncpu family\t: 6\ncore id\t\t: 4\n";
        let wanted =
            "vendor_id\t: AuthenticAMD\nflags\t\t: fpu sse2 ssse3\nmodel\t\t: 1\ncpu family\t: 23\ncore id\t\t: 4\n";
        assert_eq!(x86_64(cpuid, host), wanted);
    }
}
