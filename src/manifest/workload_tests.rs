use super::*;
use crate::manifest::{Bundle, ContainerResources, InferenceService};

/// Reads the only document of `text` with `read`.
fn read<T>(text: &str, read: fn(&Document, &mut Diagnostics) -> Option<T>) -> (Option<T>, Vec<String>) {
    let bundle = Bundle::from_text(text, "t").expect("valid YAML");
    let mut diagnostics = Diagnostics::new();
    let object = read(&bundle.documents[0], &mut diagnostics);
    (object, diagnostics.0.iter().map(ToString::to_string).collect())
}

fn number(field: Option<&Located<i64>>) -> Option<i64> {
    field.map(|own| own.value)
}

fn texts(args: &[Located<String>]) -> Vec<&str> {
    args.iter().map(|own| own.value.as_str()).collect()
}

/// A Deployment with `lines` in the pod's spec (they start at line 7).
fn deployment(lines: &str) -> String {
    format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d}}\nspec:\n  template:\n    spec:\n{lines}")
}

#[test]
fn a_deployments_serving_container_is_read() {
    let text = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm, namespace: ns}
spec:
  replicas: 2
  template:
    spec:
      terminationGracePeriodSeconds: 120
      containers:
        - name: proxy
          args: [\"--proxy\"]
        - name: server
          command: [vllm, serve]
          args: [--model, facebook/opt-125m]
          resources: {limits: {nvidia.com/gpu: \"2\", cpu: 4}}
          lifecycle: {preStop: {sleep: {seconds: 15}}}
          readinessProbe: {periodSeconds: 5, initialDelaySeconds: 10, failureThreshold: 2, successThreshold: 1, httpGet: {port: 80}}
          startupProbe: {failureThreshold: 60}
status: {replicas: 2}
";
    let (deployment, messages) = read(text, Deployment::read);
    assert_eq!(messages, Vec::<String>::new());
    let deployment = deployment.expect("readable");
    assert_eq!(deployment.name.value, "vllm");
    assert_eq!(number(deployment.replicas.as_ref()), Some(2));
    let template = deployment.template;
    assert_eq!(texts(&template.args), ["vllm", "serve", "--model", "facebook/opt-125m"]);
    assert_eq!(number(template.gpus.as_ref()), Some(2));
    assert_eq!(number(template.termination_grace_period_seconds.as_ref()), Some(120));
    assert_eq!(number(template.pre_stop_seconds.as_ref()), Some(15));
    let probe = template.readiness_probe.expect("a probe");
    assert_eq!(
        (number(probe.period_seconds.as_ref()), number(probe.initial_delay_seconds.as_ref())),
        (Some(5), Some(10))
    );
    assert_eq!(
        (number(probe.failure_threshold.as_ref()), number(probe.success_threshold.as_ref())),
        (Some(2), Some(1))
    );
    let probe = template.startup_probe.expect("a probe");
    assert_eq!((number(probe.period_seconds.as_ref()), number(probe.failure_threshold.as_ref())), (None, Some(60)));
}

#[test]
fn without_gpus_the_serving_container_goes_by_name_or_order() {
    let named = "      containers: [{name: a, args: [x]}, {name: main, args: [z]}, {name: c}]\n";
    let (object, _) = read(&deployment(named), Deployment::read);
    assert_eq!(texts(&object.expect("readable").template.args), ["z"]);
    let first = "      containers: [{name: a, args: [x]}, {name: b, args: [z]}]\n";
    let (object, _) = read(&deployment(first), Deployment::read);
    assert_eq!(texts(&object.expect("readable").template.args), ["x"]);
}

#[test]
fn gpus_are_counted_over_the_makers_and_in_both_spellings() {
    let cases = [
        ("{nvidia.com/gpu: 1}", Some(1)),
        ("{nvidia.com/gpu: \"8\"}", Some(8)),
        ("{amd.com/gpu: 4}", Some(4)),
        ("{habana.ai/gaudi: 2}", Some(2)),
        ("{nvidia.com/mig-1g.10gb: 3}", Some(3)),
        ("{cpu: 4, memory: 8Gi}", Some(0)), // Limits that name none: a CPU replica.
    ];
    for (limits, expected) in cases {
        let text = deployment(&format!("      containers: [{{name: a, resources: {{limits: {limits}}}}}]\n"));
        let (object, messages) = read(&text, Deployment::read);
        assert_eq!(messages, Vec::<String>::new());
        assert_eq!(number(object.expect("readable").template.gpus.as_ref()), expected, "{limits}");
    }
    let (object, _) = read(&deployment("      containers: [{name: a}]\n"), Deployment::read);
    assert_eq!(object.expect("readable").template.gpus, None);
    for wrong in ["many", "500m", "-1", "true", "[]"] {
        let lines = format!("      containers: [{{name: a, resources: {{limits: {{nvidia.com/gpu: {wrong}}}}}}}]\n");
        let (_, messages) = read(&deployment(&lines), Deployment::read);
        assert_eq!(messages.len(), 1, "{wrong}: {messages:?}");
        let expected = "error: t:7:67: spec.template.spec.containers[0].resources.limits[\"nvidia.com/gpu\"]: found ";
        assert!(
            messages[0].starts_with(expected) && messages[0].ends_with("expected a whole number of GPUs"),
            "{}",
            messages[0]
        );
    }
}

#[test]
fn a_pre_stop_hook_that_sleeps_is_understood_and_others_are_named() {
    let cases = [
        ("{exec: {command: [sleep, \"20\"]}}", Some(20)),
        ("{exec: {command: [/bin/sh, -c, \"sleep 15\"]}}", Some(15)),
        ("{exec: {command: [/bin/sh, -c, \"echo bye; /bin/sleep 30s && true\"]}}", Some(30)),
        ("{exec: {command: [/drain.sh]}}", None),
        ("{httpGet: {path: /drain, port: 80}}", None),
    ];
    for (hook, expected) in cases {
        let text = deployment(&format!("      containers: [{{name: a, lifecycle: {{preStop: {hook}}}}}]\n"));
        let (object, messages) = read(&text, Deployment::read);
        assert_eq!(number(object.expect("readable").template.pre_stop_seconds.as_ref()), expected, "{hook}");
        assert_eq!(messages.len(), usize::from(expected.is_none()), "{messages:?}");
        assert!(messages.iter().all(|own| own.starts_with("warning: ") && own.contains("not a plain sleep")));
    }
}

#[test]
fn a_deployments_mistakes_are_located() {
    let (object, messages) = read(&deployment("      containers: [{name: a, args: [--port, 80]}]\n"), Deployment::read);
    assert!(object.is_some());
    let expected = "error: t:7:45: spec.template.spec.containers[0].args[1]: found the integer 80, expected a string\n  help: put it in quotes";
    assert_eq!(messages, [expected]);
    let (object, messages) = read("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n", Deployment::read);
    assert!(object.is_none() && messages[0].contains("the required field spec is missing"), "{messages:?}");
}

#[test]
fn an_inference_service_with_a_model_is_read() {
    let text = "\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: opt-125m
  annotations:
    serving.kserve.io/deploymentMode: \"RawDeployment\"
    serving.kserve.io/autoscalerClass: \"external\"
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 3
    terminationGracePeriodSeconds: 60
    model:
      modelFormat: {name: huggingface}
      storageUri: hf://facebook/opt-125m
      args: [--model_name=opt-125m, --backend=vllm]
      resources: {limits: {nvidia.com/gpu: \"1\"}}
      readinessProbe: {periodSeconds: 5}
";
    let (service, messages) = read(text, InferenceService::read);
    assert_eq!(messages, Vec::<String>::new());
    let service = service.expect("readable");
    let text = |field: &Option<Located<String>>| field.as_ref().map(|own| own.value.clone()).unwrap_or_default();
    assert_eq!(text(&service.autoscaler_class), "external");
    assert_eq!(text(&service.deployment_mode), "RawDeployment");
    assert_eq!(text(&service.model_format), "huggingface");
    assert_eq!(text(&service.storage_uri), "hf://facebook/opt-125m");
    assert_eq!((number(service.min_replicas.as_ref()), number(service.max_replicas.as_ref())), (Some(1), Some(3)));
    assert_eq!(texts(&service.template.args), ["--model_name=opt-125m", "--backend=vllm"]);
    assert_eq!(number(service.template.gpus.as_ref()), Some(1));
    assert_eq!(number(service.template.termination_grace_period_seconds.as_ref()), Some(60));
    assert!(service.template.readiness_probe.is_some());
}

#[test]
fn an_inference_service_with_containers_is_read() {
    let text = "\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: x}
spec:
  predictor:
    terminationGracePeriodSeconds: 45
    containers:
      - {name: sidecar, args: [no]}
      - {name: kserve-container, args: [--model, m]}
";
    let (service, messages) = read(text, InferenceService::read);
    assert_eq!(messages, Vec::<String>::new());
    let template = service.expect("readable").template;
    assert_eq!(texts(&template.args), ["--model", "m"]);
    assert_eq!(number(template.termination_grace_period_seconds.as_ref()), Some(45));

    let bare = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: x}\nspec: {predictor: {minReplicas: -1}}\n";
    let (service, messages) = read(bare, InferenceService::read);
    assert!(service.is_some());
    assert!(messages[0].contains("spec.predictor.minReplicas: found the integer -1"), "{messages:?}");
    assert!(
        messages[1].starts_with("warning: ") && messages[1].contains("without model and containers"),
        "{messages:?}"
    );
}

#[test]
fn what_the_containers_ask_for_is_read() {
    let milli = |own: &Option<Located<Quantity>>| own.as_ref().map(|own| own.value.milli_value());
    let lines = "      containers:\n        - {name: a, resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: 2}}}\n        \
                 - {name: b, resources: {limits: {cpu: 1.5, memory: 2Gi}}}\n        - {name: c}\n";
    let (object, messages) = read(&deployment(lines), Deployment::read);
    assert_eq!(messages, Vec::<String>::new());
    let containers = object.expect("readable").template.containers;
    let (gibi, cpu): (i64, _) = (1 << 30, |own: &ContainerResources| (milli(&own.cpu_request), milli(&own.cpu_limit)));
    let memory = |own: &ContainerResources| (milli(&own.memory_request), milli(&own.memory_limit));
    assert_eq!(containers.iter().map(|own| own.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(
        containers.iter().map(cpu).collect::<Vec<_>>(),
        [(Some(500), Some(2_000)), (Some(1_500), Some(1_500)), (None, None)]
    );
    let expected = [(Some(gibi * 1_000), None), (Some(2 * gibi * 1_000), Some(2 * gibi * 1_000)), (None, None)];
    assert_eq!(containers.iter().map(memory).collect::<Vec<_>>(), expected);
    assert_eq!(containers[1].cpu_request.as_ref().map(|own| own.span.line), Some(9));
    assert!(containers.iter().all(|own| own.assumed.is_empty()));
    for (wrong, place) in [("requests: {cpu: lots}", "requests.cpu"), ("limits: {memory: [1]}", "limits.memory")] {
        let lines = format!("      containers: [{{name: a, resources: {{{wrong}}}}}]\n");
        let (_, messages) = read(&deployment(&lines), Deployment::read);
        assert_eq!(messages.len(), 1, "{messages:?}");
        let expected = format!("spec.template.spec.containers[0].resources.{place}: found ");
        assert!(messages[0].starts_with("error: t:7:") && messages[0].contains(&expected), "{messages:?}");
    }
}

#[test]
fn a_model_asks_for_what_is_written_and_its_neighbours_for_their_limits() {
    let text = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: x}\nspec:\n  predictor:\n    \
                model: {resources: {limits: {cpu: 4, memory: 8Gi}}}\n    containers: [{name: side, resources: {limits: {cpu: 1}}}]\n";
    let (service, messages) = read(text, InferenceService::read);
    assert_eq!(messages, Vec::<String>::new());
    let containers = service.expect("readable").template.containers;
    assert_eq!((containers[0].name.as_str(), containers[1].name.as_str()), ("kserve-container", "side"));
    // KServe's own request comes before the API server would take the limit for one.
    assert!(containers[0].cpu_request.is_none() && containers[0].memory_request.is_none());
    assert!(containers[0].cpu_limit.is_some() && containers[0].memory_limit.is_some());
    assert!(containers[1].cpu_request.is_some());
}
