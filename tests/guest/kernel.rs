//! What the host and other programs see of a guest process.
//!
//! In: guest programs that wait. What must hold: the host's `/proc` names the guest's command, not Philae's.

use crate::support::{GUESTS, philae, run, skip};
use crate::{LIMIT, Scratch, guest_path};
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

/// `ps` shows the guest's name and arguments.
#[test]
fn the_host_sees_the_guests_command() {
    for guest in GUESTS {
        let path = guest_path(guest, "proc.static");
        if !path.exists() {
            skip(&format!("the command of {guest} programs"), "proc.static was not built");
            continue;
        }
        let mut command = philae(["-0", "guest's name", "-E", "PHILAE_SHOWN=1"]);
        command.arg(&path).args(["waits", "1", "0"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Philae runs");
        let mut ready = [0];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("the guest writes");
        let file = |name: &str| fs::read(format!("/proc/{}/{name}", child.id())).expect("the process is there");
        let (words, comm, environment) = (file("cmdline"), file("comm"), file("environ"));
        drop(child.stdin.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(7), "{guest}");
        assert_eq!(comm, b"proc.static\n", "{guest}");
        assert_eq!(String::from_utf8_lossy(&words), "guest's name\0waits\x001\x000\0", "{guest}");
        assert!(String::from_utf8_lossy(&environment).contains("PHILAE_SHOWN=1\0"), "{guest}");
    }
}

/// A socket's path is looked for under the sysroot, whatever call names it, and is without it, whatever call tells it.
#[test]
fn sockets_lie_in_the_sysroot() {
    for guest in GUESTS {
        let path = guest_path(guest, "datagrams.static");
        let Some(place) = Scratch::new(&format!("sockets-{guest}")).filter(|_| path.exists()) else {
            skip(&format!("sockets of {guest} programs"), "datagrams.static was not built");
            continue;
        };
        let socket = UnixDatagram::bind(place.path("socket")).expect("a socket");
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        let host = std::thread::spawn(move || {
            let mut from = None;
            for text in ["to", "by message", "by message", "by message", "connected"] {
                let mut bytes = [0; 100];
                let (size, sender) = socket.recv_from(&mut bytes).expect("a message");
                assert_eq!(String::from_utf8_lossy(&bytes[..size]), text, "{guest}");
                from = Some(sender);
            }
            for _ in 0..3 {
                socket.send_to_addr(b"answer", &from.clone().expect("a sender")).expect("an answer is sent");
            }
        });
        let outcome = run(philae(["-L"]).arg(&place.0).arg(&path).arg("/socket"), "", LIMIT);
        host.join().expect("all messages came");
        let sent = "sendto 2\nsendmsg 10\nsendmmsg 2 10 10\nconnect 0 write 9\n";
        let told = "getpeername 0 /socket 10\nrecvfrom 6 answer from /socket 10\ncut short 0 /so 10\n\
                    recvmsg 6 answer from /socket 10 1\nrecvmmsg 1 6 from /socket 10\n";
        let wanted = format!("{sent}{told}");
        assert_eq!((outcome.stdout, outcome.end.as_str()), (wanted, "exit 0"), "{guest}: {}", outcome.stderr);
    }
}
