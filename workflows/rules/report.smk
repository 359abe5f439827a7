rule report:
    input:
        network=rules.build.output.network,
        weights=rules.train.output.weights,
        summary=rules.evaluate.output.summary,
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
        "fitrec report {wildcards.fit} --config config.yaml --out {wildcards.fit}/report --overwrite --log {log}"
