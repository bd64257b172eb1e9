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
use std::fmt;
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
const GET_THREADS: u32 = 8;
const SET_THREADS: u32 = 9;
const GET_MEMORY: u32 = 11;
const SET_MEMORY: u32 = 12;
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
    let mut limits = daemon.limits()?;
    let seen = format!("uid={} {limits}\n", rustix::process::getuid().as_raw());
    let mut file = fs::File::options().create(true).append(true).open(place.file("seen"))?;
    file.write_all(seen.as_bytes())?;
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
            GET_THREADS => daemon.say(&limits.threads.to_ne_bytes())?,
            SET_THREADS => limits.threads = f64::from_bits(daemon.number()?),
            GET_MEMORY => daemon.say(&limits.of_device(daemon.index()?)?.to_ne_bytes())?,
            SET_MEMORY => {
                let device = daemon.index()?;
                *limits.of_device(device)? = daemon.number()?;
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

/// What every client of the server may use: a percentage of threads, and bytes of each device.
struct Limits {
    threads: f64,
    memory: Vec<u64>,
}

impl Limits {
    fn of_device(&mut self, index: usize) -> Result<&mut u64, Box<dyn Error>> {
        self.memory.get_mut(index).ok_or_else(|| format!("no device {index}").into())
    }
}

/// Those of the first two devices: more is never looked at.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory: Vec<String> = self.memory.iter().take(2).map(u64::to_string).collect();
        write!(f, "threads={} memory={}", self.threads, memory.join(","))
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
    fn limits(&self) -> Result<Limits, Box<dyn Error>> {
        let threads = f64::from_bits(self.number()?);
        let devices = self.number()?;
        let memory = (0..devices).map(|_| self.number()).collect::<Result<_, _>>()?;
        self.hear()?;
        Ok(Limits { threads, memory })
    }

    fn index(&self) -> Result<usize, Box<dyn Error>> {
        Ok(usize::try_from(u32::from_ne_bytes(self.hear()?.as_slice().try_into()?))?)
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
