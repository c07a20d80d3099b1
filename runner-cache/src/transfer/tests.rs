use super::*;

#[tokio::test]
async fn what_is_written_is_read_whole_and_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Path(folder.path().join("object").to_str().unwrap().to_owned());
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let transfer = Transfer::default();
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &content).unwrap();
    for content in [Content::Bytes(content.clone().into()), Content::File(Arc::new(file), 3_000_000)] {
        transfer.write(&location, &content).await.unwrap();
        assert_eq!(transfer.read_all(&location, 1_000..2_500_000).await.unwrap().len(), 2_499_000);
    }
    let (mut whole, mut body) = (Vec::new(), transfer.read_whole(&location));
    while let Some(bytes) = body.next().await.unwrap() {
        whole.extend_from_slice(&bytes);
    }
    assert!(whole == content);
    assert_eq!(transfer.traffic().sent, 6_000_000);
    let error = transfer.read_all(&location, 0..3_000_001).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
