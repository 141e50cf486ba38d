{{/* Guards about how many workers there may be. */}}
{{- define "connector.guards.scaling" -}}
{{- $config := include "connector.settings" . | fromJson -}}
{{- $scaling := .Values.autoscaling -}}
{{- $most := include "connector.mostWorkers" . | int -}}
{{- $what := ternary "autoscaling.maxReplicas" "replicas" $scaling.enabled -}}
{{- if .Values.topics.partitions -}}
{{- $topics := include "connector.inputTopics" . | fromJsonArray | len -}}
{{- $partitions := mul .Values.topics.partitions $topics | int -}}
{{- if gt $most $partitions -}}
{{- fail (printf "%s is %d, and the %d input topic(s) have %d partitions in all: the other workers would wait for ever. Lower it to %d, or add partitions and raise topics.partitions." $what $most $topics $partitions $partitions) -}}
{{- end -}}
{{- end -}}
{{- $plans := dict "payg" 80 "scale" 120 "enterprise" 300 -}}
{{- $limits := dig "extend" "limits" dict $config -}}
{{- $files := 0 -}}
{{- if kindIs "map" $limits | and $limits -}}
{{- $files = ternary (get $limits "files_per_minute") (get $plans "payg") (hasKey $limits "files_per_minute") -}}
{{- else -}}
{{- $files = get $plans (dig "extend" "plan" "payg" $config | default "payg" | toString) -}}
{{- end -}}
{{- if $files -}}
{{- $limit := dig "start" "max_in_flight" 20000 $config | int -}}
{{- $day := mulf $files 1440 | int -}}
{{- if gt (mul $limit $most | int) $day -}}
{{- fail (printf "start.max_in_flight %d x %s %d are %d documents in flight, and the plan starts at most %d in a day (%v files per minute): memory and restores would grow for nothing, the backlog waits better in Kafka. Lower config.start.max_in_flight to %d, or set config.extend.plan or config.extend.limits to what the account has." $limit $what $most (mul $limit $most) $day $files (div $day (max $most 1))) -}}
{{- end -}}
{{- end -}}
{{- $static := hasKey (dig "kafka" "properties" dict $config) "group.instance.id" -}}
{{- if and $static (gt $most 1) (not $scaling.enabled) -}}
{{- fail "config.kafka.properties.group.instance.id is one name for all workers, and Kafka fences all but one: remove it. Pods of a Deployment have no lasting names, and a rollout costs little without." -}}
{{- end -}}
{{- if $scaling.enabled -}}
{{- if or $static (include "connector.guards.staticEnv" .) -}}
{{- fail "group.instance.id (static membership) and autoscaling.enabled exclude each other: a static member that is scaled away says no goodbye, and its partitions wait until the session ends. Remove group.instance.id." -}}
{{- end -}}
{{- if not $scaling.prometheusAddress -}}
{{- fail "autoscaling.prometheusAddress is empty: KEDA asks Prometheus how full the workers are, e.g. http://prometheus-operated.monitoring:9090." -}}
{{- end -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %d and above maxReplicas %d: exchange them." (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- if and (eq (int $scaling.minReplicas) 0) (not $scaling.wakeUpQuery) -}}
{{- fail "autoscaling.minReplicas is 0, and nothing would ever wake a worker: its own metrics go with it. Set autoscaling.wakeUpQuery to a query of an exporter outside, e.g. sum(kminion_kafka_consumer_group_topic_lag{group_id=\"documents\"}), or minReplicas to 1." -}}
{{- end -}}
{{- end -}}
{{- $least := ternary $scaling.minReplicas .Values.replicas $scaling.enabled | int -}}
{{- if and (eq $least 0) (include "connector.webhookSidecar" .) -}}
{{- fail (printf "%s is 0, and webhook.mode is sidecar: without a worker nobody would take webhooks. Set webhook.mode to deployment, or keep one worker." (ternary "autoscaling.minReplicas" "replicas" $scaling.enabled)) -}}
{{- end -}}
{{- end -}}

{{- define "connector.guards.staticEnv" -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "CONNECTOR__KAFKA__PROPERTIES__GROUP_INSTANCE_ID" -}}true{{- end -}}
{{- end -}}
{{- end -}}
