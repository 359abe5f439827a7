rule report:
    input:
        targets=targets_of,
        recording=recording_of,
        weights=rules.train.output.weights,
        summary=rules.evaluate.output.summary,
        detail=rules.evaluate.output.detail,
    output:
        page=report(
            "{fit}/report/index.html",
            caption="../report/page.rst",
            category="Reports",
            labels={"fit": "{fit}"},
        ),
    log:
        "logs/{fit}.report.log",
    benchmark:
        "benchmarks/{fit}.report.jsonl"
    params:
        hash=stage_hash("report"),
        version=VERSIONS["report"],
    shell:
        "fitrec report {wildcards.fit} --targets $(dirname {input.targets}) --recording $(dirname {input.recording})"
        " --config config.yaml --out {wildcards.fit}/report --overwrite --log {log}"
