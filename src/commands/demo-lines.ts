/**
 * Log lines as an app on Heroku and its router print them: two web processes, a worker and a database, with the rhythm of
 * visitors, and a spell in which the database was slow and everything behind it too.
 */

/** A pattern of the names to look at first: what was slow, and what felt it. */
export const telltaleNames = 'query|router';

/** Of each second, at the busiest. */
const requestsMax = 3;

/** A wave of visitors. */
const waveSeconds = 1_500;

const slowDatabase = { times: 5, from: -1_500, until: -1_080 };

const metricsEverySeconds = 20;

/**
 * The lines of some seconds, octet-counted.
 *
 * @param from Unix seconds, whole, inclusive; `until` exclusive.
 * @param begun When the demonstration began, Unix seconds: the slow spell lies before it.
 */
export function demoLines(from: number, until: number, begun: number, random: () => number): string {
  const frames: string[] = [];
  for (let second = from; second < until; second += 1) {
    const write = (procid: string, message: string) => {
      const time = new Date((second + random()) * 1000).toISOString();
      const frame = `<190>1 ${time} demo app ${procid} - ${message}\n`;
      frames.push(`${Buffer.byteLength(frame)} ${frame}`);
    };
    const busy = 0.55 + 0.4 * Math.sin((2 * Math.PI * second) / waveSeconds) + 0.1 * random();
    const isSlow = second - begun >= slowDatabase.from && second - begun < slowDatabase.until;
    for (let request = 0; request < requestsMax; request += 1) {
      if (random() < busy) writeRequest(write, isSlow ? slowDatabase.times : 1, random);
    }
    if (second % metricsEverySeconds === 0) writeReadings(write, busy, random);
    if (random() < 0.3)
      write(
        'worker.1',
        `source=worker.1 count#jobs.done=${1 + Math.floor(4 * random())} measure#jobs.run=${logNormal(340, 0.6, random)}ms`,
      );
  }
  return frames.join('');
}

type Write = (procid: string, message: string) => void;

function writeRequest(write: Write, slowness: number, random: () => number): void {
  const web = random() < 0.5 ? 'web.1' : 'web.2';
  const query = Number(logNormal(6 * slowness, 0.5, random));
  const service = Number(logNormal(22, 0.4, random)) + 2 * query;
  const status = random() < 0.004 * slowness ? 503 : 200;
  write(
    web,
    `source=${web} measure#db.query=${query}ms measure#app.render=${logNormal(9, 0.3, random)}ms count#app.visits=1`,
  );
  write(
    'router',
    `at=info method=GET path="/" host=demo dyno=${web} connect=${Math.floor(3 * random())}ms service=${Math.round(service)}ms ` +
      `status=${status} bytes=${Math.round(Number(logNormal(5_200, 0.7, random)))}`,
  );
  if (status === 503) write(web, `source=${web} count#app.errors=1`);
}

/** As Heroku's log-runtime-metrics prints them. */
function writeReadings(write: Write, busy: number, random: () => number): void {
  for (const [index, web] of ['web.1', 'web.2'].entries()) {
    const memory = 210 + 30 * index + 60 * busy + 4 * random();
    write(
      web,
      `source=${web} dyno=heroku.demo sample#memory_total=${memory.toFixed(2)}MB sample#load_avg_1m=${(busy * 0.8).toFixed(2)}`,
    );
  }
  write(
    'postgres',
    `source=DATABASE sample#db_size=${(4_300_000_000 + Math.floor(1e6 * random())).toString()}bytes sample#active-connections=${4 + Math.floor(9 * busy)}`,
  );
}

/** By its median and the spread of its logarithm, as latencies are; two decimals. */
function logNormal(median: number, spread: number, random: () => number): string {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return (median * Math.exp(spread * normal)).toFixed(2);
}
