//! Waits for the services of a job to accept connections.

use std::{net::Ipv4Addr, time::Duration};

use runner_core::agent::AwaitedService;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// How long between two tries. A connection to a port of the same pod is answered at once, whatever the answer.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits for all services at once. Returns the numbers of those that did not come up in time.
pub(super) async fn wait(services: &[AwaitedService]) -> Vec<usize> {
    let waits = services.iter().map(|service| timeout(service.patience, accepts(service.port)));
    let came = futures_util::future::join_all(waits).await;
    came.iter().enumerate().filter(|(_, came)| came.is_err()).map(|(number, _)| number).collect()
}

async fn accepts(port: u16) {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_those_that_do_not_come_up_are_named() {
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Bound and not listening: nobody else gets the port, and nobody accepts on it.
        let gone = tokio::net::TcpSocket::new_v4().unwrap();
        gone.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let service = |port| AwaitedService { name: "x".into(), port, patience: Duration::from_millis(200) };
        let services =
            [service(there.local_addr().unwrap().port()), service(gone.local_addr().unwrap().port())];
        assert_eq!(wait(&services).await, [1]);
    }
}
