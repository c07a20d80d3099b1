use proptest::prelude::*;
use runner_core::log::MemorySpool;

use super::*;

fn journal() -> (Journal, Arc<MemorySpool>) {
    let spool = Arc::new(MemorySpool::new());
    (Journal::new(Arc::clone(&spool) as _, false, LogDigest::default()), spool)
}

async fn text(journal: &mut Journal, spool: &MemorySpool) -> String {
    journal.flush().await;
    assert!(journal.is_flushed());
    let text = spool.read(0, usize::MAX).await.unwrap().to_vec();
    let digest = LogDigest { size: text.len() as u64, crc32: crc32fast::hash(&text) };
    assert_eq!(journal.digest(), digest);
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn each_byte_of_the_agent_is_there_once_and_a_gap_is_told() {
    let (mut journal, spool) = journal();
    journal.insert(Insertion { at: 0, text: "waiting\n".into() });
    journal.agent(0, Bytes::from_static(b"abc"));
    journal.agent(0, Bytes::from_static(b"abcde\n"));
    journal.agent(2, Bytes::from_static(b"cd"));
    journal.agent(10, Bytes::from_static(b"k\n"));
    let expected = "waiting\nabcde\n\u{1b}[33;1m... 4 bytes of the log are lost ...\u{1b}[0;m\nk\n";
    assert_eq!(text(&mut journal, &spool).await, expected);
}

#[tokio::test]
async fn another_agent_goes_on_with_the_log() {
    let (mut journal, spool) = journal();
    journal.agent(0, Bytes::from_static(b"first"));
    let said = journal.insertion("again", SystemTime::UNIX_EPOCH);
    assert_eq!(said, Insertion { at: 5, text: "\nagain\n".into() });
    journal.insert(said);
    let all = Insertion { at: 0, text: "first\nagain\n".into() };
    assert_eq!(journal.next_agent(LogDigest::default()), (LogDigest::default(), vec![all]));
    journal.agent(0, Bytes::from_static(b"second\n"));
    assert_eq!(text(&mut journal, &spool).await, "first\nagain\nsecond\n");
    journal.agent(7, vec![b'x'; KEPT].into());
    assert_eq!(journal.next_agent(LogDigest::default()), (journal.digest(), Vec::new()));
}

#[tokio::test]
async fn a_flush_that_is_dropped_doubles_nothing() {
    let spool = Arc::new(MemorySpool::bounded(4));
    let mut journal = Journal::new(Arc::clone(&spool) as _, false, LogDigest::default());
    journal.agent(0, Bytes::from_static(b"abcd"));
    journal.agent(4, Bytes::from_static(b"efgh"));
    tokio::select! {
        biased;
        () = journal.flush() => panic!("there is no room"),
        () = tokio::task::yield_now() => {}
    }
    spool.acknowledge(4).await;
    journal.flush().await;
    assert_eq!(spool.end(), 8);
    assert_eq!(spool.read(4, 9).await.unwrap(), "efgh");
}

proptest! {
    #[test]
    fn whoever_reads_the_agent_again_makes_the_same_log(
        pieces in prop::collection::vec((1_usize..40, any::<bool>()), 1..30),
        again in 1_usize..50,
    ) {
        let agent: Vec<u8> = (0..pieces.iter().map(|(length, _)| length).sum())
            .map(|place: usize| if place % 13 == 7 { b'\n' } else { b"abcdefghijklmnopqrstuvw"[place % 23] })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut first, spool) = journal();
            let mut stored = Vec::new();
            let mut place = 0;
            for (number, (length, speaks)) in pieces.iter().enumerate() {
                if *speaks {
                    let said = first.insertion(&format!("line {number}"), SystemTime::UNIX_EPOCH);
                    stored.push(said.clone());
                    first.insert(said);
                }
                first.agent(place as u64, Bytes::copy_from_slice(&agent[place..place + length]));
                place += length;
            }
            let (mut second, spool_again) = journal();
            for said in stored {
                second.insert(said);
            }
            for (number, piece) in agent.chunks(again).enumerate() {
                second.agent((number * again) as u64, Bytes::copy_from_slice(piece));
            }
            assert_eq!(text(&mut first, &spool).await, text(&mut second, &spool_again).await);
        });
    }
}
