//! The first moments of a guest process: find the program, build its runtime, run its first thread.
//!
//! In: the command line, or what a parent's execve left in a descriptor. Nothing comes out: the process ends with
//! the guest. Only what goes wrong before its first instruction comes back.

use crate::exec::Handover;
use crate::host::AcrossExec;
use crate::image::Image;
use crate::loader::{self, LoadError, Vdso, c_string};
use crate::options::Options;
use crate::runtime::Runtime;
use crate::thread::Thread;
use crate::trace::Log;
use crate::{STATUS_USAGE, fault, host, spawn};
use philae_ir::Arch;
use philae_syscalls::exec::{self, parse_script};
use philae_syscalls::path::{self, Sysroot};
use philae_syscalls::signal::Sighand;
use philae_syscalls::task::{Files, Fs, Inheritance, OwnThread, Process, ProcessInfo, Processor};
use philae_syscalls::{Mm, Task, proc, process};
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A program about to be started.
pub struct Launch {
    /// The program's file.
    pub file: File,
    /// Its path on the host.
    pub host_path: PathBuf,
    /// Its absolute path as the guest names it.
    pub guest_path: CString,
    /// The name it was started by (AT_EXECFN).
    pub execfn: CString,
    /// The arguments, argv\[0\] first.
    pub argv: Vec<CString>,
    /// The environment.
    pub envp: Vec<CString>,
    /// Philae's own file, if a parent had it.
    pub own_file: Option<File>,
    /// What the program before has left.
    pub inheritance: Inheritance,
}

/// Starts the program of the command line.
pub fn from_command_line(options: Options) -> Result<Infallible, LoadError> {
    let Some(program) = options.command.first() else {
        let message = "no program given (try: philae -h)".to_owned();
        return Err(LoadError { message, status: STATUS_USAGE });
    };
    let launch = command_line_launch(&options, Path::new(program), 0)?;
    run(options, launch)
}

/// Continues an execve of a guest: its parent's settings and the program come out of descriptor `fd`.
pub fn from_descriptor(mut options: Options, fd: i32) -> Result<Infallible, LoadError> {
    let handover = Handover::receive(fd).map_err(|message| LoadError { message, status: STATUS_USAGE })?;
    let launch = handover.apply(&mut options);
    run(options, launch)
}

/// The deepest nesting of `#!` scripts, as in the kernel.
const SCRIPT_DEPTH: usize = 5;

/// Opens the program of the command line; a `#!` script becomes its interpreter.
fn command_line_launch(options: &Options, path: &Path, depth: usize) -> Result<Launch, LoadError> {
    let file = File::open(path).map_err(|error| LoadError::open(path, &error))?;
    let executable = file.metadata().is_ok_and(|metadata| metadata.is_dir() || metadata.mode() & 0o111 != 0);
    if !executable {
        return Err(LoadError::not_runnable(path, "permission denied: nobody may execute it"));
    }
    let argv0 = options.argv0.clone().unwrap_or_else(|| options.command[0].clone());
    let mut argv: Vec<OsString> = vec![argv0];
    argv.extend(options.command[1..].iter().cloned());
    if let Some(script) = Script::read(&file) {
        if depth == SCRIPT_DEPTH {
            return Err(LoadError::not_runnable(path, "scripts nested too deeply"));
        }
        return script_launch(options, path, script, depth);
    }
    let absolute = path::path_of(&file).or_else(|| path.canonicalize().ok()).unwrap_or_else(|| path.to_owned());
    Ok(Launch {
        file,
        guest_path: c_string(absolute.as_os_str()),
        execfn: c_string(path.as_os_str()),
        host_path: path.to_owned(),
        argv: argv.iter().map(|word| c_string(word)).collect(),
        envp: environment(options),
        own_file: None,
        inheritance: Inheritance::default(),
    })
}

/// What the first line of a script says.
struct Script {
    interpreter: CString,
    argument: Option<CString>,
}

impl Script {
    /// Reads the first line of a file that starts with `#!` and names an interpreter.
    fn read(file: &File) -> Option<Script> {
        let mut head = [0; 256];
        let length = file.read_at(&mut head, 0).ok()?;
        let head = head[..length].strip_prefix(b"#!").map(|_| &head[..length])?;
        let (interpreter, argument) = parse_script(head).ok()?;
        Some(Script { interpreter, argument })
    }
}

/// The launch of a script's interpreter, which is a guest path.
fn script_launch(options: &Options, path: &Path, script: Script, depth: usize) -> Result<Launch, LoadError> {
    let word = |text: &CString| OsStr::from_bytes(text.to_bytes()).to_owned();
    let sysroot = options.sysroot.as_deref().and_then(Sysroot::new);
    let in_sysroot = sysroot.and_then(|sysroot| sysroot.find(&script.interpreter, true));
    let host = PathBuf::from(word(in_sysroot.as_ref().unwrap_or(&script.interpreter)));
    let mut nested = options.clone();
    nested.argv0 = Some(word(&script.interpreter));
    nested.command = vec![word(&script.interpreter)];
    nested.command.extend(script.argument.as_ref().map(word));
    nested.command.push(path.as_os_str().to_owned());
    nested.command.extend(options.command[1..].iter().cloned());
    let mut launch = command_line_launch(&nested, &host, depth + 1).map_err(|error| LoadError {
        message: format!("{}: interpreter of a script: {}", path.display(), error.message),
        ..error
    })?;
    launch.guest_path = script.interpreter;
    launch.execfn = c_string(path.as_os_str());
    Ok(launch)
}

/// Philae's own environment, less what `-U` names, with what `-E` sets.
fn environment(options: &Options) -> Vec<CString> {
    let name_of = |pair: &OsStr| pair.as_bytes().split(|&b| b == b'=').next().unwrap_or_default().to_vec();
    let mut pairs: Vec<OsString> = Vec::new();
    for (mut pair, value) in std::env::vars_os().filter(|(name, _)| !options.unset_env.contains(name)) {
        pair.push("=");
        pair.push(value);
        pairs.push(pair);
    }
    for new in &options.set_env {
        match pairs.iter_mut().find(|pair| name_of(pair) == name_of(new)) {
            Some(pair) => pair.clone_from(new),
            None => pairs.push(new.clone()),
        }
    }
    pairs.iter().map(|pair| c_string(pair)).collect()
}

/// Loads the program and runs it to its end.
fn run(mut options: Options, mut launch: Launch) -> Result<Infallible, LoadError> {
    let image = Image::read(&launch.file).map_err(|why| LoadError::not_runnable(&launch.host_path, why))?;
    if let Some(forced) = options.forced_arch.filter(|&forced| forced != image.arch) {
        let why = format!("is a program for {}, not for {}", image.arch.name(), forced.name());
        return Err(LoadError::not_runnable(&launch.host_path, why));
    }
    if let Some(interpreter) = &image.interpreter {
        adopt_cross_packages(&mut options, image.arch, interpreter);
    }
    let host_failed = |error: std::io::Error| LoadError {
        message: format!("cannot start: {}", loader::describe(&error)),
        status: STATUS_USAGE,
    };
    let log = Log::open(options.log_file.as_deref()).map_err(host_failed)?;
    let inherited = launch.own_file.take().inspect(|file| host::set_across_exec(file.as_raw_fd(), AcrossExec::Closed));
    let own_file = inherited.or_else(open_own_file);
    let arch = image.arch;
    let mut runtime = Runtime::new(arch, options, log, own_file).map_err(host_failed)?;
    runtime.program_file = launch.file.try_clone().ok().map(|file| host::move_above(file, spawn::OWN_DESCRIPTORS));
    let thread = first_thread(runtime, &launch, &image)?;
    drop(launch);
    host::forget_rseq();
    spawn::run_first_thread(thread)
}

fn first_thread(runtime: Runtime, launch: &Launch, image: &Image) -> Result<Box<Thread>, LoadError> {
    let runtime = Arc::new(runtime);
    let options = &runtime.options;
    let sysroot = options.sysroot.as_deref().and_then(Sysroot::new);
    let translator = runtime.clone();
    let mm = Mm::new(image.arch, Box::new(move |range| _ = translator.forget(range)));
    let find_interpreter = |name: &OsStr| find_interpreter(launch, sysroot.as_ref(), image.arch, name);
    let limits = launch.inheritance.limits();
    let program = loader::load(
        &mm,
        &loader::Start {
            file: &launch.file,
            path: &launch.host_path,
            image,
            execfn: &launch.execfn,
            argv: &launch.argv,
            envp: &launch.envp,
            find_interpreter: &find_interpreter,
            vdso: if options.strace { Vdso::Hidden } else { Vdso::Announced },
            model: options.model,
            stack_size: options.stack_size.or(limits.stack()),
        },
    )?;
    let mut info = ProcessInfo {
        processor: match image.arch {
            Arch::Aarch64 => Processor::Aarch64(options.model),
            Arch::X86_64 => Processor::X86_64 { cpuid: philae_frontends::x86_64::cpuid_leaf },
        },
        layout: program.layout,
        shown: false,
        exe: launch.guest_path.clone(),
        exe_host: c_string(launch.host_path.as_os_str()),
        argv: launch.argv.clone(),
        auxv: program.auxv,
        release: options.uname_release.as_ref().map(|release| release.to_string_lossy().into_owned()),
    };
    info.shown = proc::show(&info);
    let files = Files::new();
    runtime.program_file.iter().for_each(exec::mark_running);
    for file in runtime.own_file.iter().chain(&runtime.program_file) {
        files.keep(file.as_raw_fd());
    }
    let sighand = Sighand::new(fault::handler);
    process::set_name(&launch.execfn);
    let own = runtime.clone();
    let own_thread = OwnThread(Arc::new(move || own.background.tid()));
    let mut task = Task::new(image.arch, mm, sighand, files, Fs::new(sysroot), Process::new(info, limits, own_thread));
    task.inherit(&launch.inheritance);
    Ok(Thread::new(runtime, task, program.cpu))
}

/// Without `-L`, a program whose interpreter the host lacks gets the sysroot of Debian's cross packages if that has it.
fn adopt_cross_packages(options: &mut Options, arch: Arch, interpreter: &OsStr) {
    if options.sysroot.is_some() || Path::new(interpreter).exists() {
        return;
    }
    let packages = PathBuf::from(cross_packages(arch));
    if in_directory(&packages, interpreter).exists() {
        options.sysroot = Some(packages);
    }
}

/// Where Debian's packages for cross compiling put a machine's libraries.
fn cross_packages(arch: Arch) -> String {
    format!("/usr/{}-linux-gnu", arch.name())
}

fn in_directory(directory: &Path, absolute: &OsStr) -> PathBuf {
    directory.join(Path::new(absolute).strip_prefix("/").unwrap_or(Path::new(absolute)))
}

/// Opens a program's interpreter: in the sysroot, else on the host.
fn find_interpreter(
    launch: &Launch,
    sysroot: Option<&Sysroot>,
    arch: Arch,
    name: &OsStr,
) -> Result<(File, PathBuf), LoadError> {
    let in_sysroot = sysroot.and_then(|sysroot| sysroot.find(&c_string(name), true));
    let path =
        in_sysroot.map_or_else(|| PathBuf::from(name), |path| PathBuf::from(OsString::from_vec(path.into_bytes())));
    File::open(&path).map(|file| (file, path)).map_err(|error| {
        let mut tried: Vec<String> = Vec::new();
        tried.extend(sysroot.map(|sysroot| in_directory(sysroot.root(), name).display().to_string()));
        tried.push(name.to_string_lossy().into_owned());
        if sysroot.is_none() {
            tried.push(in_directory(Path::new(&cross_packages(arch)), name).display().to_string());
        }
        let program = launch.host_path.display();
        let why = loader::describe(&error);
        let message = format!(
            "{program}: its interpreter {} cannot be opened ({why}); tried: {}; -L DIR names a directory that has it",
            name.to_string_lossy(),
            tried.join(", ")
        );
        LoadError { message, status: 127 }
    })
}

/// Philae's own program file, above the descriptors that programs expect to get.
fn open_own_file() -> Option<File> {
    let file = File::open("/proc/self/exe").or_else(|_| File::open(host::own_name())).ok()?;
    Some(host::move_above(file, spawn::OWN_DESCRIPTORS))
}
