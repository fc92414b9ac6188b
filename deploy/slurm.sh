#!/bin/bash
# Trains on one node or several, and goes on by itself after the time limit and after pre-emption.
#
#   sbatch deploy/slurm.sh segmentation --set data.images=scenes/ --set data.labels=labels/ --output runs/a
#   sbatch --nodes=2 deploy/slurm.sh segmentation --set data.images=scenes/ --set data.labels=labels/ --output runs/a
#
# What follows the script's name is handed to `geodl train`. --output has to be on a file system that all nodes share, or on
# object storage. Partition and account: options of sbatch. The environment that holds geodl has to be active when sbatch is
# called.

#SBATCH --job-name=geodl
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the time is up geodl itself (the job's steps, not this script) is told, and writes a checkpoint.
#SBATCH --signal=TERM@120

set -euo pipefail

# Slurm may tell this script as well; it waits for geodl all the same.
trap : TERM

if (( SLURM_JOB_NUM_NODES > 1 )); then
  # One process for each node, which takes all GPUs there. On JAX: TensorFlow trains on one node only.
  first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
  export KERAS_BACKEND=jax
  export KERAS_DISTRIBUTION_JOB_ADDRESSES="$first:$(( 20000 + SLURM_JOB_ID % 10000 ))"
  export KERAS_DISTRIBUTION_NUM_PROCESSES=$SLURM_JOB_NUM_NODES
fi

# A worker that has ended does not end the others at once: the first of them may still be writing.
status=0
# shellcheck disable=SC2016  # expanded in each task
srun --kill-on-bad-exit=0 --wait=120 \
  bash -c 'export KERAS_DISTRIBUTION_PROCESS_ID=$SLURM_PROCID; exec geodl train "$@"' geodl "$@" || status=$?

# 143: it was told to end, and has written a checkpoint. A job that its owner cancelled is not RUNNING any more.
if (( status == 143 )) && scontrol show job --oneliner "$SLURM_JOB_ID" | grep -q 'JobState=RUNNING'; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
