rule evaluate:
    input:
        network=rules.build.output.network,
        targets=targets_of,
        recording=recording_of,
        weights=rules.train.output.weights,
        # The command finds it in the configuration.
        truth=truth_of,
    output:
        summary="{fit}/evaluation/summary.json",
        detail="{fit}/evaluation/detail.json",
        metrics=report(
            "{fit}/evaluation/metrics.csv",
            caption="../report/metrics.rst",
            category="Evaluation",
            labels={"fit": "{fit}"},
        ),
        activity="{fit}/evaluation/activity.zarr/zarr.json",
    log:
        "logs/{fit}.evaluate.log",
    benchmark:
        "benchmarks/{fit}.evaluate.jsonl"
    threads: THREADS
    resources:
        device=DEVICE,
    params:
        hash=stage_hash("evaluate"),
        whole=whole_hash,
        version=VERSIONS["evaluate"],
    shell:
        "fitrec evaluate $(dirname {input.network}) $(dirname {input.targets}) {wildcards.fit}/fit"
        " --recording $(dirname {input.recording}) --config config.yaml --fit {wildcards.fit}"
        " --out {wildcards.fit}/evaluation --overwrite"
        " --threads {threads} --device {resources.device} --log {log}"
