// How long a job takes: all its pictures, and what is left of it.

/// Guided steps take about so much longer than plain ones, until both were seen.
const GUIDED = 2.5;
/// Steps that are remembered of each kind: machines become slower and faster.
const REMEMBERED = 20;

export class Estimate {
  /// `runs` are the runs of the job in their order: whether each is guided. `guidedShare` is the share of steps with
  /// guidance.
  constructor({ runs, guidedShare }) {
    this.runs = runs;
    this.guidedShare = guidedShare;
    this.times = { guided: [], plain: [] };
    this.run = 0;
    this.done = 0;
    this.numSteps = 0;
  }

  /// A run begins.
  start(run, numSteps) {
    this.run = run;
    this.numSteps = numSteps;
    this.done = 0;
  }

  /// A step has ended.
  add({ step, num_steps: numSteps, seconds, guidance }) {
    this.numSteps = numSteps;
    this.done = step + 1;
    const kind = guidance ? "guided" : "plain";
    this.times[kind] = [...this.times[kind], seconds].slice(-REMEMBERED);
  }

  /// From 0 to 1, over all pictures of the job, every run as long as its steps take.
  get share() {
    const all = this.seconds(0, 0);
    return all > 0 ? 1 - this.left / all : 0;
  }

  /// Seconds until the job is done; undefined before the first step has ended.
  get left() {
    return this.seconds(this.run, this.done);
  }

  /// Seconds from a step of a run to the end of the job.
  seconds(run, done) {
    const { guided, plain } = this.means;
    if (plain === undefined || this.numSteps === 0) return undefined;
    const rest = this.runs.slice(run).map((isGuided, index) => {
      const from = index === 0 ? done : 0;
      const last = isGuided ? Math.round(this.guidedShare * this.numSteps) : 0;
      return Math.max(0, last - from) * guided + (this.numSteps - Math.max(from, last)) * plain;
    });
    return rest.reduce((sum, seconds) => sum + seconds, 0);
  }

  /// Seconds of a step of each kind; of one that was not seen yet, by the other.
  get means() {
    const total = (times) => times.reduce((sum, seconds) => sum + seconds, 0);
    const of = (times) => (times.length > 0 ? total(times) / times.length : undefined);
    const [guided, plain] = [of(this.times.guided), of(this.times.plain)];
    return { guided: guided ?? (plain && plain * GUIDED), plain: plain ?? (guided && guided / GUIDED) };
  }
}

/// The runs of a job and the share of guided steps, by its request and whether its method guides.
export function planOf({ compare, steps, attend_and_excite: guidance }, runs, isGuided, defaults) {
  const perSeed = compare ? 2 : 1;
  const until = guidance?.max_iter_to_alter ?? defaults.until;
  const count = steps ?? defaults.steps;
  const share = typeof until === "string" ? parseFloat(until) / 100 : count > 0 ? until / count : 0.5;
  return {
    runs: Array.from({ length: runs }, (_, index) => isGuided && index % perSeed === 0),
    guidedShare: Math.min(1, Math.max(0, share)),
  };
}
