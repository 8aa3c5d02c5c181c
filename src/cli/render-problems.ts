export { count, renderProblems } from '../render-problems.ts';
