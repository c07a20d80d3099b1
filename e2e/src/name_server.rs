//! A name server that knows one name.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use tokio::{net::UdpSocket, sync::watch, task::JoinSet};

/// The port of name servers, which a pod's configuration cannot change.
const PORT: u16 = 53;

/// Answers as long as it lives.
pub struct NameServer {
    asked: watch::Receiver<usize>,
    _answering: JoinSet<()>,
}

impl NameServer {
    /// One at `address` that says of `name` that it is `address` too.
    ///
    /// # Errors
    /// Where the port is not to be had.
    pub async fn start(address: IpAddr, name: &'static str) -> Result<Self> {
        let IpAddr::V4(address) = address else { bail!("this name server knows only IPv4") };
        let socket = UdpSocket::bind((address, PORT)).await.context("listen as a name server")?;
        let (count, asked) = watch::channel(0);
        let mut answering = JoinSet::new();
        answering.spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                if let Some(answer) = answer(&question[..length], name, address) {
                    count.send_modify(|count| *count += 1);
                    // Who asked may be gone.
                    socket.send_to(&answer, from).await.ok();
                }
            }
        });
        Ok(Self { asked, _answering: answering })
    }

    /// How often the name was asked for.
    pub fn asked(&self) -> usize {
        *self.asked.borrow()
    }
}

/// The answer to a question for `name`: its address, or that it has none of that kind.
fn answer(question: &[u8], name: &str, address: Ipv4Addr) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let mut wanted = Vec::new();
    for label in name.split('.') {
        wanted.push(u8::try_from(label.len()).ok()?);
        wanted.extend(label.as_bytes());
    }
    wanted.push(0);
    let asked = question.get(HEADER..HEADER + wanted.len())?;
    if !asked.eq_ignore_ascii_case(&wanted) {
        return None;
    }
    let end = HEADER + wanted.len() + 4;
    let is_address = question.get(end - 4..end)? == [0, 1, 0, 1];
    let mut answer = question.get(..2)?.to_vec();
    // An answer with authority, to one question.
    answer.extend([0x85, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    answer.extend(question.get(HEADER..end)?);
    if is_address {
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
