//! What is damaged is found before anything is touched.

use runner_cache::SaveOptions;
use runner_core::ErrorKind;

use crate::{
    site::{Site, noise},
    tree::picture,
};

async fn site() -> Site {
    let site = Site::new();
    site.put("noise", &noise(1, 5_000_000));
    site.put("text", &b"words and words ".repeat(10_000));
    site.put("folder/small", b"small");
    site.save_as("from", "key", &[], SaveOptions::default()).await.unwrap();
    site
}

#[tokio::test]
async fn a_pack_that_is_cut_or_changed_touches_nothing() {
    let site = site().await;
    let packs: Vec<_> =
        site.objects().into_iter().filter(|place| place.parent().unwrap().ends_with("packs")).collect();
    assert!(packs.len() > 1);
    for place in packs {
        let whole = fs_err::read(&place).unwrap();
        let cut = |count: usize| whole.iter().copied().take(count).collect::<Vec<_>>();
        let flipped = |index: usize| {
            let mut bytes = whole.clone();
            bytes[index] ^= 1;
            bytes
        };
        let length = whole.len();
        let mut cases = vec![Vec::new(), b"garbage".to_vec(), vec![0; length]];
        cases.extend([1, length / 3, length / 2, length - 64, length - 1].map(cut));
        cases.extend([0, 5, length / 3, length / 2, length - 64, length - 1].map(flipped));
        for case in cases {
            fs_err::write(&place, &case).unwrap();
            let error = site.restore().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{} bytes: {error:?}", case.len());
            assert!(error.chain().contains("the next job that saves it replaces it"), "{error:?}");
            assert!(picture(&site.path("to")).is_empty(), "{} bytes", case.len());
        }
        fs_err::write(&place, &whole).unwrap();
    }
    site.restore().await.unwrap();
    site.assert_same();
}
