# ridge.sh - what the scenarios of the trainer ridge share.
# shellcheck shell=sh
# shellcheck source=tests/mpi/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/mpi/ridge_data.sh
. "$(dirname "$0")/ridge_data.sh"
trial=$builddir/onward-train
[ -x "$builddir/ridge_check" ] && [ -x "$trial" ] || { echo "built without ScaLAPACK or OpenBLAS"; exit 77; }
export ONWARD_REPLACE=none OPENBLAS_NUM_THREADS=1
import_data 900
