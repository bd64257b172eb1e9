//! A stand-in for `nvidia-cuda-mps-server`, which ends at once where there is no GPU.
//!
//! NVIDIA's own control daemon (535 and 550) starts it, hands it the limits and asks it for its clients
//! as it does with the true one; what it says to a server was read off the socket. Beside the program
//! lie `mps-server.clients` (pids, one on a line) and `mps-server.mode` (`die`, `hang` or `stubborn`);
//! it writes `mps-server.seen`, a line for each start: `uid=0 threads=25 memory=10737418240,0`.

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, connect, recv, send, socket,
};
use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How a connection begins, and how it is answered; the kernel adds who is speaking.
const HELLO: &[u8] = b"OUTBHELL\0";
const CREDENTIALS: &[u8] = b"OUTBCRED\0";
/// "I am a server, and ready", with the name of its shared memory (none).
const SERVER: [u8; 4] = 1_u32.to_ne_bytes();
const SHARED_MEMORY: [u8; 516] = [0; 516];
/// What the daemon asks, and the state `ACTIVE`.
const QUIT: u32 = 5;
const CLIENTS: u32 = 6;
const STATUS: u32 = 17;
const ACTIVE: [u8; 4] = 1_u32.to_ne_bytes();

fn main() -> Result<(), Box<dyn Error>> {
    let place = Place::here()?;
    match place.mode().as_str() {
        "die" => return Err("no CUDA-capable device is detected".into()),
        "hang" => sleep_on(),
        _ => {}
    }
    let daemon = Daemon::connect()?;
    let seen = format!("uid={} {}\n", rustix::process::getuid().as_raw(), daemon.limits()?);
    fs::File::options()
        .create(true)
        .append(true)
        .open(place.file("seen"))?
        .write_all(seen.as_bytes())?;
    while let Some(request) = daemon.request()? {
        match request {
            STATUS => daemon.say(&ACTIVE)?,
            CLIENTS => {
                let clients = place.clients();
                daemon.say(&u32::try_from(clients.len())?.to_ne_bytes())?;
                for pid in clients {
                    daemon.say(&pid.to_ne_bytes())?;
                }
            }
            QUIT if place.mode() == "stubborn" => {}
            QUIT => break,
            _ => {}
        }
    }
    // The true one outlives a daemon that is killed, as long as it has clients.
    if place.mode() == "stubborn" {
        sleep_on();
    }
    Ok(())
}

fn sleep_on() -> ! {
    loop {
        sleep(Duration::from_secs(60));
    }
}

/// The folder that the program lies in.
struct Place(PathBuf);

impl Place {
    fn here() -> Result<Place, Box<dyn Error>> {
        let program = env::current_exe()?;
        Ok(Place(program.parent().ok_or("no folder")?.to_owned()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("mps-server.{name}"))
    }

    fn mode(&self) -> String {
        fs::read_to_string(self.file("mode")).unwrap_or_default().trim().to_owned()
    }

    fn clients(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.file("clients")).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }
}

/// The control daemon at the other end.
struct Daemon(OwnedFd);

impl Daemon {
    fn connect() -> Result<Daemon, Box<dyn Error>> {
        let folder = env::var_os("CUDA_MPS_PIPE_DIRECTORY").ok_or("no pipe directory")?;
        let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
        connect(&socket, &SocketAddrUnix::new(Path::new(&folder).join("control"))?)?;
        let daemon = Daemon(socket);
        if daemon.hear()? != HELLO {
            return Err("this is no control daemon".into());
        }
        daemon.say(CREDENTIALS)?;
        daemon.say(&SERVER)?;
        daemon.say(&SHARED_MEMORY)?;
        Ok(daemon)
    }

    /// A percentage, a number of devices, and as many limits in bytes; then a priority.
    fn limits(&self) -> Result<String, Box<dyn Error>> {
        let threads = f64::from_bits(self.number()?);
        let devices = self.number()?;
        let mut memory = Vec::new();
        for _ in 0..devices {
            memory.push(self.number()?);
        }
        self.hear()?;
        let shown: Vec<String> = memory.iter().take(2).map(u64::to_string).collect();
        Ok(format!("threads={threads} memory={}", shown.join(",")))
    }

    fn number(&self) -> Result<u64, Box<dyn Error>> {
        Ok(u64::from_ne_bytes(self.hear()?.as_slice().try_into()?))
    }

    /// The next request; `None` where the daemon has ended.
    fn request(&self) -> Result<Option<u32>, Box<dyn Error>> {
        let heard = self.hear()?;
        match heard.as_slice().try_into() {
            Ok(bytes) => Ok(Some(u32::from_ne_bytes(bytes))),
            Err(_) if heard.is_empty() => Ok(None),
            Err(_) => Ok(Some(0)),
        }
    }

    fn say(&self, message: &[u8]) -> Result<(), Box<dyn Error>> {
        send(&self.0, message, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn hear(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut message = vec![0; 4096];
        let (heard, _) = recv(&self.0, message.as_mut_slice(), RecvFlags::empty())?;
        message.truncate(heard);
        Ok(message)
    }
}
