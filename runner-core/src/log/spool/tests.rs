use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use proptest::prelude::*;

use super::*;

fn is_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test]
async fn what_was_appended_can_be_read_from_any_place() {
    let spool = MemorySpool::new();
    let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut rest = text.as_slice();
    let mut length = 1;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(length.min(rest.len()));
        spool.append(Bytes::copy_from_slice(piece)).await.unwrap();
        (rest, length) = (more, length * 7 % 40_009 + 1);
    }
    assert_eq!(spool.end(), 800_000);
    for (from, most) in [(0, usize::MAX), (0, 1), (799_999, 5), (800_000, 5), (123_456, 300_000), (16_383, 2)]
    {
        let end = from + most.min(text.len() - from);
        let read = spool.read(from as u64, most).await.unwrap();
        assert_eq!(read, text.get(from..end).unwrap(), "{most} from {from}");
    }
}

#[tokio::test]
async fn a_writer_waits_until_there_is_room() {
    let spool = MemorySpool::bounded(10);
    spool.append(Bytes::from_static(b"0123456789")).await.unwrap();
    let mut write = pin!(spool.append(Bytes::from_static(b"abc")));
    assert!(is_pending(write.as_mut()));
    spool.acknowledge(9).await;
    assert!(is_pending(write.as_mut()));
    spool.acknowledge(10).await;
    write.await.unwrap();
    assert_eq!(spool.end(), 13);
    assert_eq!(spool.read(10, 100).await.unwrap(), "abc");
}

#[tokio::test]
async fn reading_what_is_no_longer_kept_names_both_numbers() {
    let spool = MemorySpool::bounded(4);
    spool.append(Bytes::from_static(b"0123")).await.unwrap();
    spool.acknowledge(4).await;
    spool.append(Bytes::from_static(b"4567")).await.unwrap();
    let error = spool.read(0, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.to_string(), "read the log (from byte 0, kept from byte 4, to byte 8)");
    assert_eq!(spool.read(9, 10).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn what_is_acknowledged_is_kept_while_there_is_room() {
    let spool = MemorySpool::bounded(100);
    spool.append(Bytes::from_static(b"0123")).await.unwrap();
    spool.acknowledge(4).await;
    assert_eq!(spool.read(0, 10).await.unwrap(), "0123");
}

#[tokio::test]
async fn a_piece_larger_than_all_room_is_taken_alone() {
    let spool = MemorySpool::bounded(4);
    spool.append(Bytes::from(vec![1; 100])).await.unwrap();
    assert!(is_pending(pin!(spool.append(Bytes::from_static(b"x")))));
}

#[tokio::test]
async fn a_discarded_spool_lets_nobody_wait() {
    let spool = MemorySpool::bounded(4);
    spool.append(Bytes::from_static(b"0123")).await.unwrap();
    let mut write = pin!(spool.append(Bytes::from_static(b"4567")));
    assert!(is_pending(write.as_mut()));
    spool.discard().await;
    write.await.unwrap();
    spool.append(Bytes::from_static(b"89")).await.unwrap();
    assert_eq!(spool.end(), 10);
    assert_eq!(spool.read(10, 10).await.unwrap(), "");
    assert!(spool.read(0, 10).await.is_err());
}

#[tokio::test]
async fn a_reader_waits_for_more() {
    let spool = Arc::new(MemorySpool::new());
    let mut wait = pin!(spool.wait_beyond(0));
    assert!(is_pending(wait.as_mut()));
    spool.append(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(wait.await, 1);
}

proptest! {
    #[test]
    fn a_bounded_spool_delivers_everything_once_and_stays_within_its_bounds(
        sizes in proptest::collection::vec(1_usize..40_000, 1..40),
        capacity in 1_usize..60_000,
        most in 1_usize..50_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let total: usize = sizes.iter().sum();
        let largest = sizes.iter().copied().max().unwrap_or(0);
        runtime.block_on(async {
            let spool = MemorySpool::bounded(capacity);
            let write = async {
                let mut number = 0_usize;
                for size in &sizes {
                    let piece: Vec<u8> = (number..number + size).map(|at| u8::try_from(at % 251).unwrap()).collect();
                    number += size;
                    spool.append(piece.into()).await.unwrap();
                }
            };
            let read = async {
                let mut next = 0;
                while next < total {
                    spool.wait_beyond(next as u64).await;
                    assert!(spool.kept().held() <= capacity.max(largest) as u64);
                    let bytes = spool.read(next as u64, most).await.unwrap();
                    assert!(!bytes.is_empty() && bytes.len() <= most);
                    for byte in &bytes {
                        assert_eq!(usize::from(*byte), next % 251);
                        next += 1;
                    }
                    spool.acknowledge(next as u64).await;
                }
            };
            tokio::join!(write, read);
        });
    }
}
