# The pipeline: ingest -> targets -> build -> train -> evaluate -> report, one fit per recording, seed and rule; then compare.
#
#   snakemake --configfile config/demo.yaml --directory results/demo --cores 2
#
# is what `fitrec run config/demo.yaml --out results/demo --threads 2` does.
from snakemake.utils import min_version

min_version("9.10")


# Any image with fitrec in it serves, under --sdm apptainer; without that option the installed fitrec runs.
container: "docker://python:3.12-slim"


include: "workflows/rules/common.smk"


wildcard_constraints:
    recording="|".join(map(re.escape, RECORDINGS)),
    fit="|".join(map(re.escape, FITS)),


include: "workflows/rules/ingest.smk"
include: "workflows/rules/targets.smk"
include: "workflows/rules/build.smk"
include: "workflows/rules/train.smk"
include: "workflows/rules/evaluate.smk"
include: "workflows/rules/report.smk"
include: "workflows/rules/compare.smk"


onstart:
    write_configs(RUN, Path.cwd())


rule all:
    default_target: True
    input:
        expand(["{fit}/evaluation/summary.json", "{fit}/report/index.html"], fit=FITS),
        ["comparison.csv"] if COMPARED else [],
