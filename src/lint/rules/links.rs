//! Upstream's places that rules point to.

pub(super) const SPEC: &str = "https://keda.sh/docs/2.20/reference/scaledobject-spec/";
pub(super) const PROMETHEUS: &str = "https://keda.sh/docs/2.20/scalers/prometheus/";
pub(super) const TYPES: &str = "https://github.com/kedacore/keda/blob/v2.20.2/apis/keda/v1alpha1/scaledobject_types.go";
pub(super) const WEBHOOK: &str =
    "https://github.com/kedacore/keda/blob/v2.20.2/apis/keda/v1alpha1/scaledobject_webhook.go";
pub(super) const SCALER: &str = "https://github.com/kedacore/keda/blob/v2.20.2/pkg/scalers/scaler.go";
pub(super) const PROMETHEUS_SCALER: &str =
    "https://github.com/kedacore/keda/blob/v2.20.2/pkg/scalers/prometheus_scaler.go";
pub(super) const CRON_SCALER: &str = "https://github.com/kedacore/keda/blob/v2.20.2/pkg/scalers/cron_scaler.go";
pub(super) const EXECUTOR: &str =
    "https://github.com/kedacore/keda/blob/v2.20.2/pkg/scaling/executor/scale_scaledobjects.go";
pub(super) const HANDLER: &str = "https://github.com/kedacore/keda/blob/v2.20.2/pkg/scaling/scale_handler.go";
pub(super) const FALLBACK: &str = "https://github.com/kedacore/keda/blob/v2.20.2/pkg/fallback/fallback.go";
pub(super) const FORMULA: &str = "https://github.com/kedacore/keda/blob/v2.20.2/pkg/scaling/modifiers/formula.go";
pub(super) const HPA: &str = "https://github.com/kedacore/keda/blob/v2.20.2/controllers/keda/hpa.go";
pub(super) const CALCULATOR: &str =
    "https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/controller/podautoscaler/replica_calculator.go";
pub(super) const HPA_DEFAULTS: &str =
    "https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/apis/autoscaling/v2/defaults.go";
pub(super) const VLLM: &str = "https://github.com/vllm-project/vllm/blob/main/vllm/v1/metrics/loggers.py";
pub(super) const ROUTER: &str =
    "https://github.com/vllm-project/production-stack/blob/main/src/vllm_router/services/metrics_service/__init__.py";
pub(super) const PROMQL_FUNCTIONS: &str = "https://prometheus.io/docs/prometheus/latest/querying/functions/";
pub(super) const PROMQL_BASICS: &str = "https://prometheus.io/docs/prometheus/latest/querying/basics/";
pub(super) const PROMQL_OPERATORS: &str = "https://prometheus.io/docs/prometheus/latest/querying/operators/";
