use futures_util::{StreamExt, TryStreamExt};
use proptest::prelude::*;

use super::*;
use crate::capability::model::wire::testing::pieces;

/// Events with their data, in order.
async fn all<S>(mut frames: Frames<S>) -> Result<Vec<(String, String)>, ProviderError>
where
    S: Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin,
{
    let mut all = Vec::new();
    loop {
        while let Some(Frame { event, data }) = frames.here()? {
            all.push((event.to_owned(), data.to_owned()));
        }
        if !frames.more().await? {
            return Ok(all);
        }
    }
}

async fn data(bytes: &[u8]) -> Result<Vec<String>, ProviderError> {
    Ok(all(sse(pieces(bytes, &[]))).await?.into_iter().map(|(_, data)| data).collect())
}

/// A stream of the same chunk again and again, for sizes that a test should not hold in memory.
fn endless(chunk: &'static [u8]) -> impl Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin {
    futures_util::stream::repeat_with(move || Ok(Bytes::from_static(chunk)))
}

#[tokio::test]
async fn reads_events_with_any_line_end() {
    for end in ["\n", "\r\n", "\r"] {
        let text = "\u{feff}: hello|event: a|data: 1|data: 2||data:3|id: 7||".replace('|', end);
        let events = all(sse(pieces(text.as_bytes(), &[]))).await.unwrap();
        let event = |event: &str, data: &str| (event.to_owned(), data.to_owned());
        assert_eq!(events, [event("a", "1\n2"), event("message", "3")], "line end {end:?}");
    }
}

#[tokio::test]
async fn byte_order_marks_are_skipped() {
    let mark = "\u{feff}";
    assert_eq!(data(format!("{mark}{mark}data: a\n\n{mark}data: b\n\n").as_bytes()).await.unwrap(), ["a", "b"]);
    assert_eq!(data(mark.as_bytes()).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_last_event_needs_no_empty_line() {
    assert_eq!(data(b"data: a\n\ndata: b\n").await.unwrap(), ["a", "b"]);
    assert_eq!(data(b"data: a\n\ndata: b").await.unwrap(), ["a", "b"]);
    assert_eq!(data(b"").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn broken_utf8_is_replaced_and_does_not_swallow_what_follows() {
    assert_eq!(data(b"data: a\xffb\n\ndata: c\n\n").await.unwrap(), ["a\u{fffd}b", "c"]);
}

#[tokio::test]
async fn a_line_that_never_ends_is_refused_while_it_grows() {
    let error = all(sse(endless(&[b'x'; 65536]))).await.unwrap_err();
    assert_eq!(error, ProviderError::Garbled("a line of the stream is longer than 1 MiB".into()));
    assert_eq!(all(ndjson(endless(&[b'['; 65536]))).await.unwrap_err(), error);
}

#[tokio::test]
async fn a_line_at_the_limit_is_read() {
    let mut line = b"data: ".to_vec();
    line.resize(MAX_LINE - 1, b'x');
    line.push(b'\n');
    assert_eq!(data(&line).await.unwrap()[0].len(), MAX_LINE - 7);
    line.insert(6, b'x');
    assert!(matches!(data(&line).await, Err(ProviderError::Garbled(_))));
}

#[tokio::test]
async fn an_event_of_lines_without_end_is_refused_while_it_grows() {
    static LINE: &[u8] = &{
        let mut line = [b'x'; 65536];
        (line[0], line[1], line[2], line[3], line[4]) = (b'd', b'a', b't', b'a', b':');
        line[65535] = b'\n';
        line
    };
    let mut stream = sse(endless(LINE));
    let error = loop {
        match stream.here().map(|frame| assert_eq!(frame, None)) {
            Ok(()) => assert!(stream.more().await.unwrap()),
            Err(error) => break error,
        }
    };
    assert_eq!(error, ProviderError::Garbled("an event of the stream is longer than 1 MiB".into()));
    let half = format!("data:{}\n", "x".repeat(MAX_LINE / 2 - 1));
    assert_eq!(data(format!("{half}{half}\n{half}\n").as_bytes()).await.unwrap()[0].len(), MAX_LINE - 1);
    assert!(data(format!("{half}{half}data:\n\n").as_bytes()).await.is_err());
}

#[tokio::test]
async fn comments_and_empty_lines_do_not_keep_a_stream_for_ever() {
    for chunk in [b": ping\n\n".as_slice(), b"\n\n\n\n", b"\r", b"event: x\n\n", b" \n"] {
        let error = all(sse(endless(chunk))).await.unwrap_err();
        assert!(error.to_string().contains("says nothing"), "{chunk:?}: {error}");
    }
    let error = all(ndjson(endless(b" \n"))).await.unwrap_err();
    assert!(error.to_string().contains("says nothing"), "{error}");
}

/// A stream of these chunks, each of which comes a second after the one before.
fn slow(chunks: Vec<&'static str>) -> impl Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin {
    Box::pin(futures_util::stream::iter(chunks).then(|chunk| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Bytes::from_static(chunk.as_bytes()))
    }))
}

#[tokio::test(start_paused = true)]
async fn only_what_says_something_ends_a_silence() {
    let after = Duration::from_secs(10);
    let late = ProviderError::TimedOut { phase: "idle", after };
    let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    for chatter in [": ping\n\n", "\n", ping] {
        assert_eq!(all(sse(slow(vec![chatter; 100])).within(after)).await.unwrap_err(), late, "{chatter:?}");
        let begin = Instant::now();
        let chunks = [vec![chatter; 9], vec!["data: a\n\n"], vec![chatter; 9], vec!["data: b\n\n"]].concat();
        let read = all(sse(slow(chunks.clone())).within(after)).await.unwrap();
        let said: Vec<_> = read.iter().filter(|(event, _)| event == "message").map(|(_, data)| data.as_str()).collect();
        assert_eq!((said, begin.elapsed().as_secs()), (vec!["a", "b"], 20));
        assert!(all(sse(slow(chunks)).within(Duration::from_secs(5))).await.is_err(), "{chatter:?}");
    }
    let words = all(sse(slow(vec!["data: a\n\n"; 100])).within(after)).await.unwrap();
    assert_eq!(words.len(), 100, "what says something may take its time");
    assert_eq!(all(ndjson(slow(vec!["\n"; 100])).within(after)).await.unwrap_err(), late);
}

#[tokio::test]
async fn a_stream_without_end_ends_at_its_limit() {
    static LINE: &[u8] = &{
        let mut line = [b'x'; 65536];
        (line[0], line[1], line[2], line[3], line[4]) = (b'd', b'a', b't', b'a', b':');
        line[65534] = b'\n';
        line[65535] = b'\n';
        line
    };
    let mut stream = sse(endless(LINE));
    let mut events = 0;
    let error = loop {
        while stream.here().unwrap().is_some() {
            events += 1;
        }
        match stream.more().await {
            Ok(more) => assert!(more),
            Err(error) => break error,
        }
    };
    assert_eq!((events, error.to_string().contains("64 MiB")), (1024, true), "{error}");
}

#[tokio::test]
async fn lines_are_read_one_by_one() {
    let lines = all(ndjson(pieces(b"{\"a\":1}\r\n\n  [2]  \n\"\xc3\xbc\"", &[]))).await.unwrap();
    let lines: Vec<_> = lines.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines, ["{\"a\":1}", "  [2]  ", "\"\u{fc}\""]);
}

#[test]
fn lenient_json_survives_raw_control_bytes_but_not_nonsense() {
    assert_eq!(lenient_json(b"{\"a\":\"x\x07y\"}").unwrap()["a"], "x y");
    assert_eq!(lenient_json(b"\"\xff\"").unwrap(), "\u{fffd}");
    let deep = "[".repeat(200_000);
    for nonsense in ["", "{", "<html>", "{\"a\":1}x", deep.as_str()] {
        assert!(matches!(lenient_json(nonsense.as_bytes()), Err(ProviderError::Garbled(_))));
    }
}

#[test]
fn json_of_many_small_parts_is_refused_before_it_is_a_tree() {
    let parts = |part: &str, count: usize| format!("[{}0]", part.repeat(count));
    // A hundred times as large in memory.
    let heavy = parts(r#"{"":0},"#, 200_000);
    assert!(heavy.len() < 2 << 20);
    let error = lenient_json(heavy.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("so many small parts"), "{error}");
    let vectors = parts(&format!("[{}0.12345678],", "-0.12345678,".repeat(3_071)), 256);
    let read = lenient_json(vectors.as_bytes()).unwrap();
    assert_eq!(read.as_array().unwrap().len(), 257, "vectors of many texts are read");
}

#[tokio::test]
async fn a_reader_that_has_gone_ends_the_work() {
    let (sender, receiver) = Events::new(1);
    drop(receiver);
    assert_eq!(emit(Some(&sender), &mut vec![Event::Text("a".into())]).await, Err(ProviderError::Abandoned));
    let silent = std::future::pending::<Result<(), ProviderError>>();
    assert_eq!(while_heard(Some(&sender), silent).await, Err(ProviderError::Abandoned));
    assert_eq!(while_heard(None, async { Ok(1) }).await, Ok(1));
}

proptest! {
    /// Whatever comes: no panic, and the pieces do not matter.
    #[test]
    fn pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![
        Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), Just(b' '), Just(0xef), Just(0xbb), Just(0xbf), any::<u8>(),
    ], 0..200), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let read = |cuts: &[usize]| futures_util::FutureExt::now_or_never(all(sse(pieces(&bytes, cuts)))).unwrap();
        prop_assert_eq!(read(&[]), read(&cuts));
    }

    /// The library reads the same. It panics on byte order marks, and wants the last empty line.
    #[test]
    fn the_library_reads_the_same(text in "(data|event|id|retry|x|:|: |\r|\n|\r\n|\u{0}|ü| ){0,60}") {
        let ours = futures_util::FutureExt::now_or_never(all(sse(pieces(text.as_bytes(), &[])))).unwrap().unwrap();
        let whole = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(format!("{text}\n\n"))]);
        let library = eventsource_stream::EventStream::new(whole).map(|event| event.map(|event| (event.event, event.data)));
        let library: Result<Vec<_>, _> = futures_util::FutureExt::now_or_never(library.try_collect()).unwrap();
        prop_assert_eq!(ours, library.unwrap());
    }
}
