use super::*;
use crate::replica::metrics::{Gauges, Metrics};

#[test]
fn bounds_print_as_the_python_client_does() {
    for (value, text) in [
        (0.001, "0.001"),
        (1.0, "1.0"),
        (7680.0, "7680.0"),
        (500_000.0, "500000.0"),
        (1_000_000.0, "1e+06"),
        (2_000_000.0, "2e+06"),
    ] {
        assert_eq!(python_float(value), text);
    }
}

#[test]
fn token_buckets_end_at_the_model_length() {
    assert_eq!(one_two_five(512), [1, 2, 5, 10, 20, 50, 100, 200, 500]);
    assert_eq!(one_two_five(1000).last(), Some(&1000));
}

fn config(minor: u32, shown: Option<(u32, u32)>) -> EngineConfig {
    EngineConfig {
        model_name: "m".to_owned(),
        step_time: crate::replica::StepTime::new(&crate::replica::StepTimeCoefficients {
            t0_ms: 1.0,
            w_ms: 0.0,
            experts: None,
            cp_us_per_token: 0.0,
            ca_ns_per_pair: 0.0,
            ck_ns_per_token: 0.0,
            cs_us_per_seq: 0.0,
            knee: 1.0,
        })
        .expect("valid coefficients"),
        request_overhead: SimDuration::ZERO,
        kv_blocks: 100,
        block_size: 16,
        max_num_seqs: 8,
        max_num_batched_tokens: 512,
        max_model_len: 512,
        reserve_full_prompt: true,
        async_scheduling: false,
        vllm_version: (0, minor),
        show_hidden_metrics: shown,
        scheduling: crate::replica::Scheduling::default(),
        log_stats: true,
        http_metrics: true,
    }
}

fn names(minor: u32, shown: Option<(u32, u32)>) -> std::collections::BTreeSet<String> {
    exposition(&config(minor, shown)).series.iter().map(|series| series.labels.metric_name().to_owned()).collect()
}

#[test]
fn renamed_metrics_are_there_in_their_versions_only() {
    let old_tpot = "vllm:time_per_output_token_seconds_bucket";
    let old_usage = "vllm:gpu_cache_usage_perc";
    for (name, minor, shown, expected) in [
        ("vllm:kv_cache_usage_perc", 11, None, true),
        ("vllm:inter_token_latency_seconds_bucket", 11, None, true),
        (old_usage, 11, None, false), // Hidden in 0.11 ...
        (old_usage, 11, Some((0, 10)), true),
        (old_usage, 11, Some((0, 9)), false), // ... and only what the version before still showed comes back.
        (old_usage, 12, Some((0, 11)), false), // Gone in 0.12.
        ("vllm:gpu_prefix_cache_hits_total", 11, Some((0, 10)), true),
        (old_tpot, 11, None, true),
        (old_tpot, 12, None, false),
        (old_tpot, 12, Some((0, 11)), true),
        (old_tpot, 14, Some((0, 13)), true),
        (old_tpot, 15, Some((0, 14)), false),
        ("vllm:request_prefill_kv_computed_tokens_sum", 12, None, false),
        ("vllm:request_prefill_kv_computed_tokens_sum", 13, None, true),
        ("vllm:prompt_tokens_by_source_total", 15, None, false),
        ("vllm:prompt_tokens_by_source_total", 16, None, true),
        ("vllm:num_requests_waiting_by_reason", 19, None, false),
        ("vllm:num_requests_waiting_by_reason", 20, None, true),
        ("vllm:request_num_preemptions_count", 29, None, false),
        ("vllm:request_num_preemptions_count", 30, None, true),
    ] {
        assert_eq!(names(minor, shown).contains(name), expected, "{name} in 0.{minor}, shown {shown:?}");
    }
}

#[test]
fn every_version_fills_the_row_that_it_lays_out() {
    for minor in 8..=33 {
        for shown in [None, Some((0, minor - 1))] {
            let config = config(minor, shown);
            let layout = exposition(&config).series;
            let mut row = Vec::new();
            let mut metrics = Metrics::new(&config);
            metrics.stopped = 3;
            metrics.write(Gauges { running: 1, waiting: 2, used_blocks: 0 }, 0.5, None, &mut row);
            assert_eq!(row.len(), layout.len(), "0.{minor}");
            let value = |name: &str| {
                let place = layout.iter().position(|series| series.labels.metric_name() == name);
                row[place.unwrap_or_else(|| panic!("{name} is in 0.{minor}"))]
            };
            assert_eq!(["vllm:num_requests_waiting", "vllm:cache_config_info"].map(value), [2.0, 1.0]);
            assert_eq!(["bucket", "sum", "count"].map(|s| value(&format!("vllm:request_params_n_{s}"))), [3.0; 3]);
        }
    }
}

#[test]
fn every_family_has_its_bounds() {
    let buckets = |name: &str| {
        let wanted = format!("{name}_bucket");
        let series = exposition(&config(33, None)).series;
        series.iter().filter(|one| one.labels.metric_name() == wanted).count()
    };
    for (name, count) in [
        ("vllm:time_to_first_token_seconds", 23),
        ("vllm:inter_token_latency_seconds", 20),
        ("vllm:request_time_per_output_token_seconds", 20),
        ("vllm:e2e_request_latency_seconds", 22),
        ("vllm:iteration_tokens_total", 14),
        ("vllm:request_params_max_tokens", 10), // 1 to 500, and +Inf.
        ("vllm:request_params_n", 6),
        ("vllm:request_num_preemptions", 8),
    ] {
        assert_eq!(buckets(name), count, "{name}");
    }
}
