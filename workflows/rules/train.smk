rule train:
    input:
        network=rules.build.output.network,
        targets=targets_of,
    output:
        weights="{fit}/fit/weights.zarr/zarr.json",
        curve=report(
            "{fit}/fit/curve.csv",
            caption="../report/curve.rst",
            category="Training",
            labels={"fit": "{fit}"},
        ),
        provenance="{fit}/fit/provenance.json",
    log:
        "logs/{fit}.train.log",
    benchmark:
        "benchmarks/{fit}.train.jsonl"
    threads: THREADS
    resources:
        # Not a parameter: every device gives the same bits, so another one is no reason to train again.
        device=DEVICE,
    params:
        hash=stage_hash("train"),
        version=VERSIONS["train"],
        checkpoints=checkpoints_of,
    shell:
        # The checkpoints are no declared output, because Snakemake deletes those before a rerun: so a retry resumes.
        "fitrec train $(dirname {input.network}) $(dirname {input.targets}) --config config.yaml --fit {wildcards.fit}"
        " --out {wildcards.fit}/fit --checkpoints {params.checkpoints} --resume --overwrite"
        " --threads {threads} --device {resources.device} --log {log}"
