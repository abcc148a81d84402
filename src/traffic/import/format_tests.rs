//! Every format, and every way to get one wrong.

use super::*;
use crate::traffic::TraceRow;
use crate::units::SimTime;
use proptest::prelude::*;

fn row(millis: u64, prompt_tokens: u32, output_tokens: u32) -> TraceRow {
    TraceRow { at: SimTime::from_millis(millis), prompt_tokens, output_tokens, max_tokens: None }
}

fn read(text: &str) -> Trace {
    import("trace", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn azure_counts_from_its_first_row() {
    let trace = read(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n\
         2026-03-02 23:59:59.5000000,512,64\n\
         2026-03-03 00:00:00.7500000,2048,17\n",
    );
    assert_eq!(trace.rows, [row(0, 512, 64), row(1250, 2048, 17)]);
    assert!(trace.notes.is_empty());
    let trace = read(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n\
         2026-03-02 09:00:00.250000+00:00,512,64\n\
         2026-03-02 11:00:01.500000+02:00,2048,17",
    );
    assert_eq!(trace.rows, [row(0, 512, 64), row(1250, 2048, 17)]);
}

#[test]
fn vidur_and_servegen_seconds_are_exact() {
    let trace = read("arrived_at,num_prefill_tokens,num_decode_tokens\n6.011,178,8\n6.917,258,40\n");
    assert_eq!(trace.rows, [row(0, 178, 8), row(906, 258, 40)]);
    let trace =
        read("\u{feff}arrived_at,client,num_prefill_tokens,num_decode_tokens\r\n0.0,20,601,2\r\n1e-03,7,3,4\r\n");
    assert_eq!(trace.rows, [row(0, 601, 2), row(1, 3, 4)]);
    assert_eq!(trace.notes, ["columns not used: client"]);
}

#[test]
fn burstgpt_leaves_out_failed_requests_and_says_so() {
    let trace = read(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
         10,GPT-4,90,0,90,API log\n\
         12,ChatGPT,300,20,320,Conversation log\n\
         12,GPT-4,0,410,410,API log\n\
         75.5,ChatGPT,150,3,153,API log\n",
    );
    assert_eq!(trace.rows, [row(0, 300, 20), row(63_500, 150, 3)]);
    assert_eq!(
        trace.notes,
        [
            "columns not used: Model, Total tokens, Log Type",
            "1 row with 0 output tokens (failed requests) left out",
            "1 row with 0 prompt tokens left out",
        ]
    );
}

#[test]
fn mooncake_counts_milliseconds() {
    let trace = read(
        "{\"timestamp\": 500, \"input_length\": 1300, \"output_length\": 40, \"hash_ids\": [1, 2]}\n\n\
         {\"timestamp\": 3500, \"input_length\": 600, \"output_length\": 90, \"hash_ids\": []}\n",
    );
    assert_eq!(trace.rows, [row(0, 1300, 40), row(3000, 600, 90)]);
    assert!(trace.notes.is_empty(), "{:?}", trace.notes);
    let text = trace.texts[0].as_ref().expect("the first row has hash ids");
    assert_eq!((&text.ids[..], text.tokens_per_id, text.tokens), (&[1, 2][..], 512, 1300));
    assert_eq!((trace.texts.len(), &trace.texts[1]), (2, &None));
}

#[test]
fn mistakes_are_located() {
    const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";
    const VIDUR: &str = "arrived_at,num_prefill_tokens,num_decode_tokens";
    const MOON: &str = "{\"timestamp\": 5, \"input_length\": 1, \"output_length\": 4}";
    // Text, line, column, part of the message.
    let table: [(String, u64, u64, &str); 22] = [
        (String::new(), 0, 0, "the file is empty"),
        (" \n\n".to_owned(), 0, 0, "the file is empty"),
        ("time,tokens\n1,2\n".to_owned(), 1, 0, "found the header \"time,tokens\""),
        (format!("{VIDUR}\n"), 0, 0, "no rows"),
        (format!("{VIDUR}\n0,5,0\n"), 0, 0, "none of the 1 rows"),
        ("num_prefill_tokens,num_decode_tokens\n1,2\n".to_owned(), 1, 0, "without \"arrived_at\""),
        ("Timestamp,Request tokens\n5,472\n".to_owned(), 1, 0, "without \"Response tokens\""),
        (format!("{VIDUR},arrived_at\n1,2,3,4\n"), 1, 4, "twice"),
        (format!("{VIDUR}\n0,5,6\n1,5\n"), 3, 0, "found 2 fields, expected 3"),
        (format!("{VIDUR}\r\n0,5,6\r\n\r\n1,x,6\r\n"), 4, 2, "num_prefill_tokens: found \"x\""),
        (format!("{VIDUR}\n0,5,6\n\n\n1,5,-6\n"), 5, 3, "num_decode_tokens: found \"-6\""),
        (format!("{VIDUR}\n0,5.5,6\n"), 2, 2, "a whole number of tokens"),
        (format!("{VIDUR}\n0,5,99999999999\n"), 2, 3, "a whole number of tokens"),
        (format!("{VIDUR}\nsoon,5,6\n"), 2, 1, "arrived_at: found \"soon\""),
        (format!("{VIDUR}\nNaN,5,6\n"), 2, 1, "expected seconds"),
        (format!("{VIDUR}\n3,5,6\n2.999,5,6\n"), 3, 1, "before that of the row above"),
        (format!("{VIDUR}\n0,5,6\n99999999999,5,6\n"), 3, 1, "213 days"),
        (format!("{AZURE}\n2026-03-02 09:00:61,5,6\n"), 2, 1, "TIMESTAMP: found \"2026-03-02 09:00:61\""),
        (format!("{MOON}\n{{\"timestamp\": 4, \"input_length\": 1, \"output_length\": 4}}\n"), 2, 0, "row above"),
        (
            format!("{MOON}\n{{\"timestamp\": 10.5, \"input_length\": 1, \"output_length\": 4}}\n"),
            2,
            18,
            "milliseconds",
        ),
        (format!("{MOON}\n{{\"session_id\": \"a\"}}\n"), 2, 13, "unknown field `session_id`"),
        (format!("{MOON}\n{{\"timestamp\": 10"), 2, 16, "EOF"),
    ];
    for (text, line, column, part) in table {
        let error = import("trace", text.as_bytes()).expect_err(&text);
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
        assert!(error.message.contains(part), "{text:?}: {error}");
    }
    let error = import("trace", b"arrived_at,num_prefill_tokens,num_decode_tokens\n0,\xff,6\n").expect_err("not text");
    assert_eq!((error.line, error.column), (2, 2));
}

#[test]
fn errors_read_as_places() {
    let shown = |text: &str| import("a.csv", text.as_bytes()).expect_err("wrong").to_string();
    assert!(shown("").starts_with("a.csv: the file is empty"));
    assert!(shown("x\n").starts_with("a.csv:1: found the header"));
    assert!(shown("arrived_at,num_prefill_tokens,num_decode_tokens\n0,x,1\n").starts_with("a.csv:2:2: num_prefill"));
}

proptest! {
    #[test]
    fn no_bytes_make_an_importer_panic(
        header in 0..5usize, lines in proptest::collection::vec("[0-9TZ:, .+eE{}\"a-z_\u{e9}-]{0,40}", 0..6)
    ) {
        let header = [
            "TIMESTAMP,ContextTokens,GeneratedTokens",
            "arrived_at,num_prefill_tokens,num_decode_tokens",
            "Timestamp,Request tokens,Response tokens",
            "{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1}",
            "",
        ][header];
        let text = format!("{header}\n{}", lines.join("\n"));
        match import("trace", text.as_bytes()) {
            Ok(trace) => {
                prop_assert!(trace.rows.is_sorted_by_key(|row| row.at));
                prop_assert!(trace.rows.iter().all(|row| row.prompt_tokens > 0 && row.output_tokens > 0));
                prop_assert_eq!(trace.rows[0].at, SimTime::ZERO);
            }
            Err(error) => prop_assert!(error.line <= text.lines().count() as u64, "{}", error),
        }
    }

    #[test]
    fn rows_come_back_as_they_were_written(
        rows in proptest::collection::vec((0..100_000u64, 1..u32::MAX, 1..u32::MAX), 1..30)
    ) {
        let mut at = 0;
        let mut text = "arrived_at,num_prefill_tokens,num_decode_tokens\n".to_owned();
        let mut expected = Vec::new();
        for (gap, prompt, output) in rows {
            at += gap;
            text += &format!("{}.{:03},{prompt},{output}\n", at / 1000, at % 1000);
            expected.push(row(at, prompt, output));
        }
        let first = expected[0].at.as_millis_floor();
        for row in &mut expected {
            row.at = SimTime::from_millis(row.at.as_millis_floor() - first);
        }
        prop_assert_eq!(read(&text).rows, expected);
    }
}
