rule build:
    input:
        targets=targets_of,
    output:
        network="{fit}/network.zarr/zarr.json",
    log:
        "logs/{fit}.build.log",
    benchmark:
        "benchmarks/{fit}.build.jsonl"
    threads: THREADS
    resources:
        # Not a parameter: every device gives the same bits.
        device=DEVICE,
    params:
        hash=stage_hash("build"),
        version=VERSIONS["build"],
    shell:
        "fitrec build $(dirname {input.targets}) --config config.yaml --fit {wildcards.fit}"
        " --out $(dirname {output.network}) --overwrite --threads {threads}"
        " --device {resources.device} --log {log}"
